"""Results as tables and files that people and other tools read."""
