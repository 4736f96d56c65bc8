"""Files, locks, threads, processes and signals: what the operating system gives."""
