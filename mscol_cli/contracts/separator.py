"""A way to get the sources of a track. It groups paths and transforms waveforms; files are
decoded for it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mscol_cli.contracts.plans import MIXTURE

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class SeparatorContext:
    """What a separator is told when it is built.

    Attributes:
        device: Torch device name, such as `cpu` or `cuda:0`.
        model: The user's `--model`: a name or a path; None for the separator's default.
    """

    device: str = "cpu"
    model: str | None = None


@dataclass(frozen=True)
class InputFile:
    """An audio file found under an input.

    Attributes:
        path: Where it is.
        name: Its path relative to the input folder (or its own name), with `/` between parts.
    """

    path: Path
    name: str


@dataclass(frozen=True)
class TrackInput:
    """One track: which files to decode, by the role each plays.

    Attributes:
        id: Unique name of the track, made of `/`-separated parts, without suffix.
        files: By role: `mixture` for a mix, a source's name for a true stem.
        problem: Set when the files do not make a track; it is then reported and skipped.
    """

    id: str
    files: Mapping[str, Path] = field(default_factory=dict)
    problem: str | None = None


class Separator(ABC):
    """Base class of every separator.

    Attributes:
        sources: What `separate` returns beside the mixture, such as `("vocals", "drums")`.
        sample_rate: Hz of the waveforms it takes and gives; None takes each track's own rate.
        passport: Facts recorded in the store: weights and their hashes, licence.
    """

    sources: tuple[str, ...]
    sample_rate: int | None = None
    passport: Mapping[str, str] = {}

    def tracks(self, files: Sequence[InputFile]) -> list[TrackInput]:
        """Group files into tracks; unless overridden, every file is the mix of its own track."""
        return [
            TrackInput(id=file.name.rpartition(".")[0] or file.name, files={MIXTURE: file.path})
            for file in files
        ]

    @abstractmethod
    def separate(self, audio: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Return the mixture and every source of one track.

        Args:
            audio: By role as in `TrackInput.files`, (channels, samples) float32 at
                `sample_rate`, all of one length.

        Returns:
            By name, `mixture` and each of `sources`, (channels, samples) of that same length; a
            source that is not in the track is all zero.
        """
