"""Print the resident memory around a block, in bytes: before, with it, when freed, at the end."""

import json
import sys

import torch

from mscol_cli.engine.devices import keep_freed_memory, memory_in_use

CPU = torch.device("cpu")

with keep_freed_memory() as kept:
    assert kept
    figures = [memory_in_use(CPU)]
    block = torch.ones(2**24)  # 64 MiB, which would be mapped and unmapped by itself
    figures.append(memory_in_use(CPU))
    del block
    figures.append(memory_in_use(CPU))
figures.append(memory_in_use(CPU))
sys.stdout.write(json.dumps(figures))
