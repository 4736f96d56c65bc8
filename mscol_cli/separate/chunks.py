"""Decoding a track into chunks of aligned waveforms, and joining chunks with cross-fades."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from mscol_cli.audio import AudioStream, StreamResampler, open_audio
from mscol_cli.contracts.separator import Chunking, TrackInput
from mscol_cli.errors import BadInputError
from mscol_cli.store import MINIMUM, SAMPLE_RATE, FileStamp
from mscol_cli.system.outcomes import input_failure


@dataclass(frozen=True)
class Chunk:
    """An excerpt of a track.

    Attributes:
        track: Track id.
        audio: Waveforms by role, (channels, samples), all of equal length.
        sample_rate: Sample rate in Hz.
        stamps: State of the files when they were read, by role; None before the last chunk.
    """

    track: str
    audio: Mapping[str, Tensor]
    sample_rate: int
    stamps: Mapping[str, FileStamp] | None = None

    @property
    def samples(self) -> int:
        """Length in samples."""
        return next(iter(self.audio.values())).shape[-1]

    @property
    def last(self) -> bool:
        """Whether this is the last chunk of the track."""
        return self.stamps is not None


class CrossFade:
    """Joins overlapping chunks with cross-fades.

    The weights are sin² and cos²: they sum to one, and the outermost frames of a chunk, which were
    estimated without their context, hardly contribute.
    """

    def __init__(self, overlap: int) -> None:
        """Join chunks that overlap by `overlap` samples."""
        self._overlap = overlap
        self._tail: Tensor | None = None

    def push(self, chunk: Tensor, last: bool) -> Tensor:
        """Add the next chunk, (channels, samples), and return the samples that are final."""
        if self._tail is not None:
            chunk = self._joined(self._tail, chunk)
        if last or not self._overlap:
            return chunk
        self._tail = chunk[:, -self._overlap :].clone()
        return chunk[:, : -self._overlap]

    def _joined(self, tail: Tensor, chunk: Tensor) -> Tensor:
        position = (torch.arange(self._overlap, device=chunk.device) + 0.5) / self._overlap
        fade_in = torch.sin(0.5 * torch.pi * position).square()
        shared = torch.lerp(tail, chunk[:, : self._overlap], fade_in)
        return torch.cat([shared, chunk[:, self._overlap :]], dim=-1)


def read_chunks(
    track: TrackInput, sample_rate: int | None, chunking: Chunking | None
) -> Iterator[Chunk]:
    """Decode a track in chunks. Its files are resampled, and padded to the longest.

    Args:
        track: The track to decode.
        sample_rate: Target rate in Hz; None uses the highest rate among the files.
        chunking: Length and overlap of the chunks; None returns the track as one chunk.

    Raises:
        BadInputError: A file cannot be used, or all files are too short.
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
    with ExitStack() as stack:
        files = {role: stack.enter_context(open_audio(path)) for role, path in track.files.items()}
        stamps = {role: FileStamp.of(path) for role, path in track.files.items()}
        rate = sample_rate or max(file.sample_rate for file in files.values())
        buffers = _DecodedBuffers(files, rate)
        size = chunking.samples if chunking else None
        while not buffers.fill(None if size is None else size + 1):
            assert chunking is not None
            yield Chunk(track.id, buffers.first(chunking.samples), rate)
            buffers.drop(chunking.step)
        _check_length(track, buffers.samples_so_far / rate)
        yield Chunk(track.id, buffers.first(None), rate, _with_lengths(stamps, files))


class _DecodedBuffers:
    """Decoded blocks of every file, by role, that later chunks still need."""

    def __init__(self, files: Mapping[str, AudioStream], rate: int) -> None:
        self._readers = {role: _resampled(file, rate) for role, file in files.items()}
        self._blocks: dict[str, list[Tensor]] = {role: [] for role in files}
        self._dropped = 0

    @property
    def samples_so_far(self) -> int:
        return self._dropped + self._longest()

    def fill(self, samples: int | None) -> bool:
        """Read `samples` samples of each file, or all; returns whether every file is shorter."""
        for role, reader in self._readers.items():
            blocks = self._blocks[role]
            while samples is None or _length(blocks) < samples:
                block = next(reader, None)
                if block is None:
                    break
                blocks.append(block)
        return samples is None or self._longest() < samples

    def first(self, samples: int | None) -> dict[str, Tensor]:
        """The first samples of each file, padded with silence."""
        length = samples or self._longest()
        return {role: _padded(self._joined(role)[:, :length], length) for role in self._blocks}

    def drop(self, samples: int) -> None:
        for role in self._blocks:
            self._blocks[role] = [self._joined(role)[:, samples:].clone()]
        self._dropped += samples

    def _longest(self) -> int:
        return max(map(_length, self._blocks.values()))

    def _joined(self, role: str) -> Tensor:
        blocks = self._blocks[role]
        if len(blocks) != 1:
            blocks[:] = [torch.cat(blocks, dim=-1)]
        return blocks[0]


def _resampled(file: AudioStream, rate: int) -> Iterator[Tensor]:
    resampler = StreamResampler(file.sample_rate, rate)
    previous: Tensor | None = None
    for block in file.blocks(rate=rate):
        if previous is not None:
            yield resampler.push(previous)
        previous = torch.from_numpy(block)
    assert previous is not None
    yield resampler.push(previous, last=True)


def _length(blocks: list[Tensor]) -> int:
    return sum(block.shape[-1] for block in blocks)


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
    # Before separation: a shorter input may not fill one of the separator's frames.
    min_seconds = MINIMUM / SAMPLE_RATE
    if seconds < min_seconds:
        files = ", ".join(str(path) for path in track.files.values())
        raise BadInputError(
            f"{files}: lasts {seconds:.3f} s, one crop needs {min_seconds:.3f} s; leave it out"
        )
