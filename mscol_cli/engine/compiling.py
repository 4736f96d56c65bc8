"""Whether, and what, torch compiles of a step."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Callable

import torch
from torch import Tensor

from mscol_cli import distributed
from mscol_cli.contracts.encoder import Encoder

COMPILING = ("auto", "on", "off")


def is_compiled(name: str, device: torch.device) -> bool:
    """Whether to compile; `auto` does on a GPU, if what torch needs for that is on the machine."""
    return name == "on" or (name == "auto" and device.type == "cuda" and _can_compile())


def _can_compile() -> bool:
    """Triton makes the kernels, and a C compiler what launches them."""
    compilers = (os.environ.get("CC"), "gcc", "clang")
    has_compiler = any(shutil.which(name) for name in compilers if name)
    return has_compiler and importlib.util.find_spec("triton") is not None


def compiled(encoder: Encoder, device: torch.device) -> Callable[[Tensor], Tensor]:
    """The encoder's forward pass, compiled; on a lone GPU its kernels are replayed as CUDA graphs.

    Front end, loss and optimiser stay outside: the front end is complex-valued, and the optimiser's
    rate and epsilon change with every update, so no graph may hold them. Among several processes
    the collectives of batch normalisation cannot be recorded.
    """
    graphs = device.type == "cuda" and distributed.world_size() == 1
    mode = "reduce-overhead" if graphs else None
    call: Callable[[Tensor], Tensor] = torch.compile(encoder.forward, mode=mode, dynamic=False)
    return call
