"""A way to get the sources of a track. It groups paths and transforms waveforms; files are
decoded for it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mscol_cli.contracts.plans import MIXTURE
from mscol_cli.contracts.progress import Progress, Silent

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class SeparatorContext:
    """What a separator is told when it is built.

    Attributes:
        device: Torch device name, such as `cpu` or `cuda:0`.
        model: The user's `--model`: a name or a path; None for the separator's default.
        progress: Whom to tell of a download.
        offline: Whether the user forbade any.
        plan_only: Whether nothing will be separated: only attributes of the separator are asked
            for, and weights need not be there.
    """

    device: str = "cpu"
    model: str | None = None
    progress: Progress = field(default_factory=Silent)
    offline: bool = False
    plan_only: bool = False


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


@dataclass(frozen=True)
class Chunking:
    """How a long track may be cut, so that memory does not grow with its length.

    Chunks begin every `samples - overlap` samples. Where two overlap, the estimate fades from one
    to the other. A track of at most `samples` is one chunk, and so is separated whole.

    Attributes:
        samples: Longest stretch that is separated at once, at the rate of the waveforms.
        overlap: Samples that a chunk shares with the next; less than half of `samples`.
    """

    samples: int
    overlap: int

    @property
    def step(self) -> int:
        """Samples from the start of one chunk to the start of the next."""
        return self.samples - self.overlap


class Separator(ABC):
    """Base class of every separator.

    Attributes:
        sources: What `separate` returns beside the mixture, such as `("vocals", "drums")`.
        sample_rate: Hz of the waveforms it takes and gives; None takes each track's own rate.
        passport: Facts recorded in the store: weights and their hashes, licence.
        chunking: How long tracks are cut; None has every track in memory, whole.
        batch_samples: Most samples in time that `separate_many` is given at once, summed over the
            chunks of its batch; one chunk is given however long it is.
    """

    sources: tuple[str, ...]
    sample_rate: int | None = None
    passport: Mapping[str, str] = {}
    chunking: Chunking | None = None
    batch_samples: int = 0

    def tracks(self, files: Sequence[InputFile]) -> list[TrackInput]:
        """Group files into tracks, by paths alone; unless overridden, every file is the mix of its
        own track.

        Args:
            files: Every audio file, in the order of the inputs and sorted within each.

        Returns:
            Tracks in the order in which they are separated; files that make none get a `problem`.
        """
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

        Raises:
            BadInputError: The track cannot be separated; it is reported and skipped. Any other
                exception ends the command: it is a bug, and would cost more tracks than this one.
        """

    def separate_many(self, batch: Sequence[Mapping[str, Tensor]]) -> list[Mapping[str, Tensor]]:
        """`separate` each of several tracks, or chunks of tracks; override it to work on them
        together.

        Results may differ from `separate` by rounding only. When `torch.OutOfMemoryError` is
        raised, the batch is tried again in halves.
        """
        return [self.separate(audio) for audio in batch]
