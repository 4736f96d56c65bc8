"""`mscol report`: a page of sections, created from runs and probe results on disk."""
