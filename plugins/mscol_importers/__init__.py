"""The importers that come with mscol."""
