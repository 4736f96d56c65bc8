"""Which sample rates and channel counts are believed.

A damaged header may claim 1 Hz or 4 GHz, and resampling to a usual rate would then take all memory.
Real audio lies well within: from telephony (8 kHz) to the fastest PCM and DSD64 converters
(768 kHz), and up to 64 channels (seventh-order ambisonics).
"""

from __future__ import annotations

from pathlib import Path

from mscol_cli.errors import BadInputError

SAMPLE_RATES = (1_000, 768_000)
CHANNELS = (1, 64)


def check_limits(path: Path, sample_rate: int, channels: int) -> None:
    """Raise BadInputError for a sample rate in Hz, or a number of channels, beyond the bounds."""
    lowest, highest = SAMPLE_RATES
    if not lowest <= sample_rate <= highest:
        raise BadInputError(
            f"{path}: its header says {sample_rate} Hz, mscol reads {lowest} to {highest} Hz;"
            " replace it"
        )
    fewest, most = CHANNELS
    if not fewest <= channels <= most:
        raise BadInputError(
            f"{path}: its header says {channels} channels, mscol reads {fewest} to {most};"
            " replace it"
        )
