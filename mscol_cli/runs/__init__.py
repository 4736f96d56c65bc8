"""Run folders: layout, checkpoints, state and metrics; `mscol runs` lists, shows and plots them."""
