"""`mscol tag`: applies the saved classifier of a probe to audio files."""
