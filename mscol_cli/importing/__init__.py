"""`mscol import`: a published checkpoint to a model folder."""
