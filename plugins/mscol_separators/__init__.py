"""The separators that come with mscol."""
