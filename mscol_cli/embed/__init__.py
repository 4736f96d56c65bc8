"""`mscol embed`: audio files and stores to a file of vectors."""
