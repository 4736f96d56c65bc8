"""From a track's files to what a separator takes, and from what it gives to what a store takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mscol_cli.ahead import map_ahead
from mscol_cli.audio import Audio, read_audio, resample
from mscol_cli.contracts.separator import TrackInput
from mscol_cli.errors import BadInputError, PluginError
from mscol_cli.store import MINIMUM, SAMPLE_RATE, FileStamp


@dataclass(frozen=True)
class Decoded:
    """A track in memory.

    Attributes:
        track: Which one.
        audio: By role, (channels, samples) at `sample_rate`, all of one length.
        sample_rate: Hz.
        stamps: The files as they were read, by role.
    """

    track: TrackInput
    audio: Mapping[str, Tensor]
    sample_rate: int
    stamps: Mapping[str, FileStamp]


def unique_ids(tracks: Sequence[TrackInput]) -> list[TrackInput]:
    """Tell tracks of one id apart by their suffix; those that still clash get a problem, and so
    does an id that is no relative path."""
    count = Counter(track.id for track in tracks)
    named = [_with_suffix(track) if count[track.id] > 1 else track for track in tracks]
    seen: set[str] = set()
    checked = []
    for track in named:
        if track.problem is None and track.id in seen:
            track = replace(track, problem=f"{track.id}: two tracks have this name; rename one")
        elif track.problem is None and not _is_safe(track.id):
            track = replace(track, problem=f"{track.id}: is no relative name; rename the file")
        seen.add(track.id)
        checked.append(track)
    return checked


def decode_ahead(
    tracks: Sequence[TrackInput], sample_rate: int | None
) -> Iterator[tuple[TrackInput, Decoded | BadInputError]]:
    """Decode the tracks in order, each while the one before it is being used.

    Args:
        tracks: What to decode.
        sample_rate: Hz to resample to; None keeps the highest rate among a track's files.
    """
    decoded = map_ahead(lambda track: _try_decode(track, sample_rate), tracks, workers=1)
    yield from zip(tracks, decoded, strict=True)


def to_store(
    separated: Mapping[str, Tensor], names: Sequence[str], sample_rate: int
) -> dict[str, NDArray[np.float32]]:
    """Average channels and resample to the store's rate.

    Args:
        separated: By name, (channels, samples).
        names: The mixture and every source.
        sample_rate: Hz of `separated`.

    Raises:
        PluginError: A name is missing, or lengths differ.
    """
    missing = [name for name in names if name not in separated]
    if missing:
        raise PluginError(f"the separator returned no '{missing[0]}': it promised {list(names)}.")
    if len({separated[name].shape[-1] for name in names}) != 1:
        raise PluginError("the separator returned sources of different lengths.")
    mono = {name: separated[name].float().mean(dim=0) for name in names}
    return {name: resample(mono[name], sample_rate, SAMPLE_RATE).cpu().numpy() for name in names}


def _try_decode(track: TrackInput, sample_rate: int | None) -> Decoded | BadInputError:
    try:
        return _decode(track, sample_rate)
    except BadInputError as error:
        return error
    except OSError as error:
        return BadInputError(f"{track.id}: cannot be read ({error.strerror}); check the disk")


def _decode(track: TrackInput, sample_rate: int | None) -> Decoded:
    if track.problem is not None:
        raise BadInputError(track.problem)
    stamps = {role: FileStamp.of(path) for role, path in track.files.items() if path.is_file()}
    decoded = {role: read_audio(path) for role, path in track.files.items()}
    stamps = {role: _with_length(stamp, decoded[role]) for role, stamp in stamps.items()}
    rate = sample_rate or max(audio.sample_rate for audio in decoded.values())
    waveforms = {
        role: resample(torch.from_numpy(audio.samples), audio.sample_rate, rate)
        for role, audio in decoded.items()
    }
    audio = _pad_to_longest(waveforms)
    _check_length(track, next(iter(audio.values())).shape[-1] / rate)
    return Decoded(track, audio, rate, stamps)


def _with_length(stamp: FileStamp, audio: Audio) -> FileStamp:
    return replace(stamp, seconds=audio.seconds, declared_seconds=audio.declared)


def _pad_to_longest(waveforms: Mapping[str, Tensor]) -> dict[str, Tensor]:
    longest = max(waveform.shape[-1] for waveform in waveforms.values())
    return {
        role: torch.nn.functional.pad(waveform, (0, longest - waveform.shape[-1]))
        for role, waveform in waveforms.items()
    }


def _check_length(track: TrackInput, seconds: float) -> None:
    # Before the separator, whose own frames may not fit into less.
    shortest = MINIMUM / SAMPLE_RATE
    if seconds < shortest:
        files = ", ".join(str(path) for path in track.files.values())
        raise BadInputError(
            f"{files}: lasts {seconds:.3f} s, one crop needs {shortest:.3f} s; leave it out"
        )


def _with_suffix(track: TrackInput) -> TrackInput:
    suffixes = "+".join(path.suffix.lstrip(".") for path in track.files.values())
    return replace(track, id=f"{track.id}.{suffixes}")


def _is_safe(track_id: str) -> bool:
    return all(part not in ("", ".", "..") for part in track_id.split("/"))
