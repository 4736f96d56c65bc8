"""How a training step is computed: its precision, and whether the encoder is compiled."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch

from mscol_cli.engine.devices import pick_precision
from mscol_cli.recipes.options import TrainingSettings
from mscol_cli.system import distributed

NAMES = {torch.float32: "fp32", torch.bfloat16: "bf16"}
"""Data types by the names of `--precision`."""


@dataclass(frozen=True)
class Mode:
    """How a training step is computed."""

    precision: torch.dtype = torch.float32
    compiled: bool = False

    def __str__(self) -> str:
        return f"{NAMES[self.precision]}, {'compiled' if self.compiled else 'not compiled'}"


PLAIN = Mode()
"""Eager float32, which other modes are compared with."""


@dataclass(frozen=True)
class ModeChoice:
    """The mode that the options choose, and what `auto` may fall back to.

    Attributes:
        mode: The mode.
        keeps_precision: Whether `--precision` is explicit.
        keeps_compiled: Whether `--compile on` is explicit.
        problem: Why `auto` does not compile on a GPU, for a warning; empty if it does.
    """

    mode: Mode
    keeps_precision: bool = False
    keeps_compiled: bool = False
    problem: str = ""

    def candidates(self) -> Iterator[Mode]:
        """Modes to try in order, from the chosen one to the plainest that is allowed."""
        precisions = [self.mode.precision]
        if not self.keeps_precision and self.mode.precision is not torch.float32:
            precisions.append(torch.float32)
        for precision in precisions:
            yield replace(self.mode, precision=precision)
            if self.mode.compiled and not self.keeps_compiled:
                yield Mode(precision)


def choose_mode(settings: TrainingSettings, device: torch.device) -> ModeChoice:
    """The mode of `--precision` and `--compile` on a device."""
    automatic = auto_mode(device)
    precision, compiled, problem = automatic.precision, automatic.compiled, ""
    if settings.precision != "auto":
        precision = pick_precision(settings.precision, device)
    if settings.compile != "auto":
        compiled = settings.compile == "on"
    elif compiled and (problem := missing_compiler()):
        compiled = False
    return ModeChoice(
        Mode(precision, compiled),
        keeps_precision=settings.precision != "auto",
        keeps_compiled=settings.compile == "on",
        problem=problem,
    )


def auto_mode(device: torch.device) -> Mode:
    """The mode of `auto`: on a GPU bf16 if it has it, compiled in a single process; on a CPU plain.

    With several processes the encoder is not compiled: the compiler would cut it at each of the
    synchronised batch normalisations.
    """
    precision = pick_precision("auto", device)
    return Mode(precision, device.type == "cuda" and distributed.world_size() == 1)


def missing_compiler() -> str:
    """What torch needs to compile for a GPU and is not installed; empty if all is there."""
    if importlib.util.find_spec("triton") is None:
        return "Triton is not installed"
    names = (os.environ.get("CC"), "gcc", "clang")
    if not any(shutil.which(name) for name in names if name):
        return "there is no C compiler (gcc, clang or $CC)"
    return ""
