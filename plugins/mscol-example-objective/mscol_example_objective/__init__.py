"""Example plugin for mscol."""
