"""Run folders: layout, checkpoints, state, metrics; `mscol runs` lists, shows and plots them."""
