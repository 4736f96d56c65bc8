"""`mscol separate`: from files through a separator to a sealed store and listening copies."""
