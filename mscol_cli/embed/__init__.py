"""`mscol embed`: files and stores in, one file of vectors out."""
