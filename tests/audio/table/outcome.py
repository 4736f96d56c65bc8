"""What mscol makes of a file, seen from outside."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mscol_cli.audio import read_audio
from mscol_cli.errors import BadInputError
from tests.audio.table.chirp import Heard, listen


@dataclass(frozen=True)
class Outcome:
    """What came out of a file.

    Attributes:
        reason: Why it was refused; None where it was decoded.
        seconds: How much was decoded.
        declared: How long the file says it is; None where it says nothing.
        shortfall: What is missing, as a store's manifest has it; None if nothing is known to be.
        heard: The moments of the chirp.
    """

    reason: str | None = None
    seconds: float = 0.0
    declared: float | None = None
    shortfall: str | None = None
    heard: Heard | None = None


def outcome(path: Path, seconds: float) -> Outcome:
    """Decode a file that holds `chirp(seconds, ...)`, or what damage left of it."""
    try:
        audio = read_audio(path)
    except BadInputError as error:
        return Outcome(reason=str(error))
    heard = listen(audio.samples, audio.sample_rate, seconds)
    return Outcome(None, audio.seconds, audio.declared, audio.shortfall, heard)
