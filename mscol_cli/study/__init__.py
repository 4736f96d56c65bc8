"""`mscol reproduce` and `mscol demo`: chains of commands, finished when their outputs are there."""
