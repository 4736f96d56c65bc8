"""The sections of a report, each from what runs and probes left on disk."""
