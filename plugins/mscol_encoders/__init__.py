"""The encoders that come with mscol."""
