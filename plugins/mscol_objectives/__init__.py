"""The objectives that come with mscol."""
