"""`mscol pretrain`: from a sealed store to a run with checkpoints."""
