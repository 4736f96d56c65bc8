"""What mscol makes of a file, seen from outside."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mscol_cli.audio import read_audio
from mscol_cli.errors import BadInputError
from tests.audio_table.chirp import Heard, listen

SHORTFALL = 0.25
"""Seconds by which a file in a store must miss its header's length to count as short."""


@dataclass(frozen=True)
class Outcome:
    """What came out of a file.

    Attributes:
        reason: Why it was refused; None where it was decoded.
        seconds: How much was decoded.
        declared: How long the file says it is.
        heard: The moments of the chirp.
    """

    reason: str | None = None
    seconds: float = 0.0
    declared: float | None = None
    heard: Heard | None = None

    @property
    def short(self) -> bool:
        """Whether a store's manifest says so."""
        return self.declared is not None and self.declared - self.seconds >= SHORTFALL


def outcome(path: Path, seconds: float) -> Outcome:
    """Decode a file that holds `chirp(seconds, ...)`, or what damage left of it."""
    try:
        audio = read_audio(path)
    except BadInputError as error:
        return Outcome(reason=str(error))
    heard = listen(audio.samples, audio.sample_rate, seconds)
    return Outcome(None, audio.seconds, audio.declared, heard)
