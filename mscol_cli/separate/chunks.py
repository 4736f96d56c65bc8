"""A track's files as chunks of aligned waveforms, and chunks cross-faded again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from mscol_cli.audio import AudioStream, StreamResampler, open_audio
from mscol_cli.contracts.separator import Chunking, TrackInput
from mscol_cli.errors import BadInputError, input_failure
from mscol_cli.store import MINIMUM, SAMPLE_RATE, FileStamp
from mscol_cli.system.files import is_regular


@dataclass(frozen=True)
class Chunk:
    """A stretch of a track.

    Attributes:
        track: Id of the track.
        audio: By role, (channels, samples) at `sample_rate`, all of one length.
        sample_rate: Hz.
        stamps: With the last chunk, the files as they were read, by role; None before.
    """

    track: str
    audio: Mapping[str, Tensor]
    sample_rate: int
    stamps: Mapping[str, FileStamp] | None = None

    @property
    def samples(self) -> int:
        """Its length."""
        return next(iter(self.audio.values())).shape[-1]

    @property
    def last(self) -> bool:
        """Whether the track ends with it."""
        return self.stamps is not None


class CrossFade:
    """Fades from each chunk to the next while they overlap.

    Weights are sin² and cos²: they add up to one, and the outermost frames of a chunk, which were
    estimated without what surrounds them, hardly count.
    """

    def __init__(self, overlap: int) -> None:
        """Join chunks that share `overlap` samples."""
        self._overlap = overlap
        self._tail: Tensor | None = None

    def push(self, chunk: Tensor, last: bool) -> Tensor:
        """Take the next chunk, (channels, samples), and give what no later one changes."""
        if self._tail is not None:
            chunk = self._joined(self._tail, chunk)
        if last or not self._overlap:
            return chunk
        self._tail = chunk[:, -self._overlap :].clone()
        return chunk[:, : -self._overlap]

    def _joined(self, tail: Tensor, chunk: Tensor) -> Tensor:
        place = (torch.arange(self._overlap, device=chunk.device) + 0.5) / self._overlap
        rising = torch.sin(0.5 * torch.pi * place).square()
        shared = torch.lerp(tail, chunk[:, : self._overlap], rising)
        return torch.cat([shared, chunk[:, self._overlap :]], dim=-1)


def read_chunks(
    track: TrackInput, sample_rate: int | None, chunking: Chunking | None
) -> Iterator[Chunk]:
    """Decode a track chunk by chunk; its files are resampled, and padded to the longest.

    Args:
        track: What to decode.
        sample_rate: Hz; None takes the highest rate among the files.
        chunking: None gives the track as one chunk.

    Raises:
        BadInputError: A file cannot be used, or all are too short.
    """
    try:
        yield from _read_chunks(track, sample_rate, chunking)
    except BadInputError:
        raise
    except Exception as error:
        raise input_failure(track.id, error) from error


def _read_chunks(
    track: TrackInput, sample_rate: int | None, chunking: Chunking | None
) -> Iterator[Chunk]:
    if track.problem is not None:
        raise BadInputError(track.problem)
    stamps = {role: FileStamp.of(path) for role, path in track.files.items() if is_regular(path)}
    with ExitStack() as stack:
        files = {role: stack.enter_context(open_audio(path)) for role, path in track.files.items()}
        rate = sample_rate or max(file.sample_rate for file in files.values())
        parts = _DecodedBuffers(files, rate)
        size = chunking.samples if chunking else None
        while not parts.fill(None if size is None else size + 1):
            assert chunking is not None
            yield Chunk(track.id, parts.first(chunking.samples), rate)
            parts.drop(chunking.step)
        _check_length(track, parts.samples_so_far / rate)
        yield Chunk(track.id, parts.first(None), rate, _with_lengths(stamps, files))


class _DecodedBuffers:
    """What was decoded of every file and is not done with."""

    def __init__(self, files: Mapping[str, AudioStream], rate: int) -> None:
        self._readers = {role: _resampled(file, rate) for role, file in files.items()}
        self._held: dict[str, list[Tensor]] = {role: [] for role in files}
        self._dropped = 0

    @property
    def samples_so_far(self) -> int:
        """Length of the longest file, as far as it was read."""
        return self._dropped + max(_length(held) for held in self._held.values())

    def fill(self, samples: int | None) -> bool:
        """Read until a file has so many samples; whether all files ended before that."""
        for role, reader in self._readers.items():
            held = self._held[role]
            while samples is None or _length(held) < samples:
                piece = next(reader, None)
                if piece is None:
                    break
                held.append(piece)
        lengths = [_length(held) for held in self._held.values()]
        return samples is None or max(lengths) < samples

    def first(self, samples: int | None) -> dict[str, Tensor]:
        """The first samples of each file, with silence after its end."""
        length = samples or max(_length(held) for held in self._held.values())
        return {role: _padded(self._joined(role)[:, :length], length) for role in self._held}

    def drop(self, samples: int) -> None:
        """Be done with the first samples."""
        for role in self._held:
            self._held[role] = [self._joined(role)[:, samples:].clone()]
        self._dropped += samples

    def _joined(self, role: str) -> Tensor:
        held = self._held[role]
        if len(held) != 1:
            held[:] = [torch.cat(held, dim=-1)]
        return held[0]


def _resampled(file: AudioStream, rate: int) -> Iterator[Tensor]:
    resampler = StreamResampler(file.sample_rate, rate)
    before: Tensor | None = None
    for block in file.blocks(rate=rate):
        if before is not None:
            yield resampler.push(before)
        before = torch.from_numpy(block)
    assert before is not None
    yield resampler.push(before, last=True)


def _length(held: list[Tensor]) -> int:
    return sum(piece.shape[-1] for piece in held)


def _padded(waveform: Tensor, samples: int) -> Tensor:
    missing = samples - waveform.shape[-1]
    return torch.nn.functional.pad(waveform, (0, missing)) if missing else waveform


def _with_lengths(
    stamps: Mapping[str, FileStamp], files: Mapping[str, AudioStream]
) -> dict[str, FileStamp]:
    return {
        role: replace(
            stamp,
            seconds=files[role].seconds,
            declared_seconds=files[role].declared,
            shortfall=files[role].shortfall,
        )
        for role, stamp in stamps.items()
    }


def _check_length(track: TrackInput, seconds: float) -> None:
    # Before the separator, whose own frames may not fit into less.
    shortest = MINIMUM / SAMPLE_RATE
    if seconds < shortest:
        files = ", ".join(str(path) for path in track.files.values())
        raise BadInputError(
            f"{files}: lasts {seconds:.3f} s, one crop needs {shortest:.3f} s; leave it out"
        )
