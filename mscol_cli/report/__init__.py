"""`mscol report`: the sections of a page, each from what runs and probes left on disk."""
