"""Options of the bundled encoders; nothing here imports torch."""

from __future__ import annotations

from dataclasses import dataclass

from mscol_cli.api import option


@dataclass(frozen=True)
class LogMelOptions:
    """Options of encoders with a log-mel front end, such as `small`."""

    level: str = option(
        "norm",
        "level of clips: L2 norm 1, as published, or one rms for clips of all lengths",
        choices=("norm", "rms"),
    )


@dataclass(frozen=True)
class EfficientNetOptions(LogMelOptions):
    """Options of `efficientnet_b0`."""

    drop_path: float = option(
        0.2,
        "stochastic depth: probability of skipping a block, rising from 0 to this in the last",
        minimum=0.0,
        maximum=0.9,
    )
