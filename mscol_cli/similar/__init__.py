"""`mscol similar`: the nearest neighbours of files in a folder of vectors."""
