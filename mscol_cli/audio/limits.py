"""Bounds on sample rates and channel counts.

A damaged header may claim 1 Hz or 4 GHz, and resampling to a usual rate would then exhaust memory.
Real audio ranges from telephony (8 kHz) to the fastest PCM and DSD64 converters (768 kHz), with up
to 64 channels (seventh-order ambisonics).
"""

from __future__ import annotations

from pathlib import Path

from mscol_cli.errors import BadInputError

SAMPLE_RATES = (1_000, 768_000)
CHANNELS = (1, 64)


def check_limits(path: Path, sample_rate: int, channels: int) -> None:
    """Raise BadInputError for a sample rate in Hz or a number of channels out of bounds."""
    for value, unit, (lowest, highest) in (
        (sample_rate, "Hz", SAMPLE_RATES),
        (channels, "channels", CHANNELS),
    ):
        if not lowest <= value <= highest:
            raise BadInputError(
                f"{path}: its header says {value} {unit}, mscol reads {lowest} to {highest} {unit};"
                " replace it"
            )
