"""Arguments of `mscol reproduce` and `mscol demo`; this module does not import torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mscol_cli.contracts.options import parameter


@dataclass(frozen=True)
class ReproduceRequest:
    """Arguments of `mscol reproduce`."""

    study: str | None = parameter(
        None,
        "Name or file of a study; without it, studies are listed.",
        "STUDY|FILE",
        positional=True,
    )
    output: Path | None = parameter(
        None, "Folder for runs, probes and report. [default: studies/STUDY]", "DIR", short="-o"
    )
    keep_going: bool = parameter(False, "After a failed stage, run the stages that do not need it.")
    gpus: int | None = parameter(None, "Separate and train on N GPUs of this machine.")
    device: str | None = parameter(None, "auto, cpu, cuda or cuda:N, for every stage.", "NAME")


@dataclass(frozen=True)
class DemoRequest:
    """Arguments of `mscol demo`; the output folder is kept."""

    output: Path = parameter(Path("mscol-demo"), "Output folder.", "DIR", short="-o")
    songs: int = parameter(400, "Number of songs to synthesise.", minimum=16)
    steps: int = parameter(1000, "Number of training steps.", minimum=1)
    seeds: int = parameter(3, "Number of classifiers per probe.", minimum=1)
