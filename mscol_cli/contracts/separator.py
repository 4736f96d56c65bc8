"""Separators, which group files into tracks and split waveforms into sources."""

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
    """Arguments for building a separator.

    Attributes:
        device: Torch device name, such as `cpu` or `cuda:0`.
        model: The user's `--model`, a name or a path; None for the separator's default.
        progress: Receives the progress of downloads.
        offline: Whether downloads are forbidden.
        plan_only: Whether only attributes of the separator are needed: nothing is separated, and
            weights may be missing.
        precision: The user's `--precision`: `auto`, `fp32`, `bf16` or `fp16`. A separator that
            computes in another one than `fp32` records it in its passport as `precision`.
    """

    device: str = "cpu"
    model: str | None = None
    progress: Progress = field(default_factory=Silent)
    offline: bool = False
    plan_only: bool = False
    precision: str = "fp32"


@dataclass(frozen=True)
class InputFile:
    """An audio file found under an input.

    Attributes:
        path: Path of the file.
        name: Path relative to the input folder, or the file name, with `/` between parts.
    """

    path: Path
    name: str


@dataclass(frozen=True)
class TrackInput:
    """One track and the files to decode.

    Attributes:
        id: Unique name of the track, made of `/`-separated parts, without suffix.
        files: Paths by role: `mixture` for a mix, the name of a source for a true stem.
        problem: Why the files do not make a track, which is then reported and skipped.
    """

    id: str
    files: Mapping[str, Path] = field(default_factory=dict)
    problem: str | None = None


@dataclass(frozen=True)
class Chunking:
    """Division of long tracks into chunks, so that memory does not grow with their length.

    Chunks begin every `samples - overlap` samples and are cross-faded where they overlap. A track
    of at most `samples` is one chunk.

    Attributes:
        samples: Length of a chunk, in samples.
        overlap: Samples that a chunk shares with the next; less than half of `samples`.
    """

    samples: int
    overlap: int

    @property
    def step(self) -> int:
        """Samples from the start of one chunk to the start of the next."""
        return self.samples - self.overlap


class Separator(ABC):
    """Base class of separators.

    Attributes:
        sources: Sources that `separate` returns besides the mixture, as in `("vocals", "drums")`.
        sample_rate: Hz of input and output; None keeps the rate of each track.
        channels: Number of channels of the sources, for the estimate of disk space; None: that of
            each track.
        passport: Facts recorded in the store: weights and their hashes, licence.
        chunking: How long tracks are divided; None keeps every track in memory as one piece.
        batch_samples: Maximum length of a batch of `separate_many`, in samples: the number of its
            chunks times the length of the longest. A single chunk may be longer.
    """

    sources: tuple[str, ...]
    sample_rate: int | None = None
    channels: int | None = None
    passport: Mapping[str, str] = {}
    chunking: Chunking | None = None
    batch_samples: int = 0

    def __init__(self, options: object = None, context: SeparatorContext | None = None) -> None:
        """Take what `build` is called with. A part that uses its options overrides this."""
        super().__init__()

    def tracks(self, files: Sequence[InputFile]) -> list[TrackInput]:
        """Group files into tracks by their paths; by default, every file is the mix of a track.

        Args:
            files: All audio files, in the order of the inputs and sorted within each.

        Returns:
            Tracks in the order of separation; those that cannot be separated have a `problem`.

        Raises:
            UsageError: The files do not suit the options.
        """
        return [
            TrackInput(id=file.name.rpartition(".")[0] or file.name, files={MIXTURE: file.path})
            for file in files
        ]

    @abstractmethod
    def separate(self, audio: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Return the mixture and every source of one track.

        Args:
            audio: (channels, samples) float32 at `sample_rate`, all of one length, by role as in
                `TrackInput.files`.

        Returns:
            (channels, samples) of the same length, by name: `mixture` and each of `sources`, and
            no other. A source that is absent from the track is all zero.

        Raises:
            BadInputError: The track cannot be separated; it is reported and skipped.
            MissingDataError: Weights that are loaded with the first track are missing or damaged.
                Any other exception is treated as a bug and ends the command.
        """

    def separate_many(self, batch: Sequence[Mapping[str, Tensor]]) -> list[Mapping[str, Tensor]]:
        """Separate several tracks or chunks; override it to process them as one batch.

        Results may differ from `separate` by rounding only. After `torch.OutOfMemoryError` the
        batch is retried in halves.
        """
        return [self.separate(audio) for audio in batch]
