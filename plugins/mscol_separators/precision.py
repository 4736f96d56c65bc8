"""Precision of the networks of Open-Unmix."""

from __future__ import annotations

import torch

from mscol_cli.api import UsageError

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
MIN_UNITS = 512
"""Hidden units from which a CPU gains: the networks then take most of the time."""


def pick_precision(name: str, device: str, units: int) -> str:
    """Resolve `auto`: `bf16` on a CPU with instructions for it and large networks, else `fp32`.

    Args:
        name: `auto`, `fp32`, `bf16` or `fp16`.
        device: Torch device name.
        units: Hidden units of the largest network.

    Raises:
        UsageError: The device does not support the precision.
    """
    is_cpu = device.startswith("cpu")
    if name == "auto":
        return "bf16" if is_cpu and units >= MIN_UNITS and cpu_has_bf16() else "fp32"
    if name == "fp16" and is_cpu:
        raise UsageError("--precision fp16 needs a GPU: use bf16 or fp32 on a CPU.")
    return name


def cpu_has_bf16() -> bool:
    """Whether this CPU has instructions for products of bfloat16."""
    # Both are private, and their absence means that torch does not use the instructions.
    names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, bool)() for name in names)
