"""`mscol reproduce` and `mscol demo`: chains of commands that skip finished stages."""
