"""`mscol import`: conversion of a published checkpoint to a model folder."""
