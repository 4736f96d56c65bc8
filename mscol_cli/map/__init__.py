"""`mscol map`: a folder of vectors as a map in one page."""
