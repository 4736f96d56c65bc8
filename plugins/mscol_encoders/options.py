"""Options of the bundled encoders; nothing here imports torch."""

from __future__ import annotations

from dataclasses import dataclass

from mscol_cli.api import option


@dataclass(frozen=True)
class LogMelOptions:
    """Options of every encoder that looks at a log-mel; those of `small`."""

    level: str = option(
        "norm",
        "whole clips at L2 norm 1, as published, or at one rms whatever their length",
        choices=("norm", "rms"),
    )


@dataclass(frozen=True)
class EfficientNetOptions(LogMelOptions):
    """Options of `efficientnet_b0`."""

    drop_path: float = option(
        0.2,
        "stochastic depth: chance to skip a block, from 0 in the first towards this in the last",
        minimum=0.0,
        maximum=0.9,
    )
