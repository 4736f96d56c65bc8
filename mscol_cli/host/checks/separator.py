"""Checks of separators: attributes, tracks and separated waveforms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mscol_cli.contracts.plans import MIXTURE
from mscol_cli.contracts.separator import Chunking, InputFile, Separator, TrackInput
from mscol_cli.errors import UsageError
from mscol_cli.host.checks.values import attribute, breach, check_whole, is_name, is_whole
from mscol_cli.host.guard import guarded, label_of

if TYPE_CHECKING:
    from torch import Tensor


def validate_separator(separator: Separator) -> None:
    """Check the attributes of a separator. Raises PluginError."""
    label = label_of(separator)
    _check_sources(attribute(separator, "sources", label), label)
    for name in ("sample_rate", "channels"):
        if attribute(separator, name, label) is not None:
            check_whole(separator, [name], label)
    check_whole(separator, ["batch_samples"], label, minimum=0)
    _check_chunking(attribute(separator, "chunking", label), label)
    passport = attribute(separator, "passport", label)
    items = passport.items() if isinstance(passport, Mapping) else [(None, passport)]
    if not all(isinstance(value, str) for item in items for value in item):
        raise breach(label, f"passport is {passport!r}, not text by name")


def find_tracks(separator: Separator, files: Sequence[InputFile]) -> list[TrackInput]:
    """Group files into tracks with a separator.

    Raises:
        PluginError: `tracks` did not return valid tracks.
        UsageError: The files do not suit the options.
        PluginCallError: `tracks` raised another exception.
    """
    label = label_of(separator)
    tracks = guarded(separator, separator.tracks, f"{len(files)} files", (UsageError,))(files)
    if not isinstance(tracks, (list, tuple)):
        raise breach(label, f"tracks returned {type(tracks).__name__}, not a list")
    for track in tracks:
        if not isinstance(track, TrackInput) or not isinstance(track.id, str):
            raise breach(label, f"tracks returned {track!r}, not a TrackInput with a name")
        if track.problem is None and not _has_files(track):
            raise breach(label, f"track '{track.id}' has neither files by role nor a problem")
    return list(tracks)


def validate_separated(separated: object, sources: Sequence[str], samples: int, label: str) -> None:
    """Check the result of `separate` for one track or chunk.

    Args:
        separated: (channels, samples) waveforms by name.
        sources: Required names besides the mixture.
        samples: Length of the track or chunk, in samples.
        label: Label of the separator, for messages.

    Raises:
        PluginError: A source is missing, not declared, or has the wrong shape or type.
    """
    if not isinstance(separated, Mapping):
        raise breach(label, f"separate returned {type(separated).__name__}, not sources by name")
    for name in (MIXTURE, *sources):
        if name not in separated:
            raise breach(label, f"separate returned no '{name}', only {', '.join(separated)}")
        _check_waveform(separated[name], name, samples, label)
    for name in separated:
        if name not in (MIXTURE, *sources):
            declared = ", ".join(sources) or "it has none"
            raise breach(label, f"separate returned {name!r}, which is not in sources: {declared}")


def _check_sources(sources: object, label: str) -> None:
    if not isinstance(sources, (list, tuple)):
        raise breach(label, f"sources is {sources!r}, not a tuple of names")
    for name in sources:
        if not is_name(name) or name == MIXTURE:
            raise breach(
                label, f"source {name!r} is not a valid name: use letters, digits, _ and -"
            )
    if len({name.casefold() for name in sources}) < len(sources):
        raise breach(label, f"two of the sources {', '.join(sources)} have the same name")


def _check_chunking(chunking: object, label: str) -> None:
    if chunking is None:
        return
    if not isinstance(chunking, Chunking):
        raise breach(label, f"chunking is {chunking!r}, neither a Chunking nor None")
    valid = is_whole(chunking.samples, 1) and is_whole(chunking.overlap)
    if not valid or 2 * chunking.overlap >= chunking.samples:
        raise breach(label, f"{chunking}: overlap must be at least 0 and less than half of samples")


def _has_files(track: TrackInput) -> bool:
    files = track.files
    return (
        isinstance(files, Mapping)
        and bool(files)
        and all(isinstance(path, Path) for path in files.values())
    )


def _check_waveform(waveform: Tensor, name: str, samples: int, label: str) -> None:
    from torch import Tensor

    if not isinstance(waveform, Tensor) or not waveform.is_floating_point():
        raise breach(label, f"separate returned '{name}', which is not a tensor of floats")
    shape = tuple(waveform.shape)
    if len(shape) != 2 or shape[0] < 1 or shape[1] != samples:
        raise breach(
            label, f"separate returned '{name}' of shape {shape}, not (channels, {samples})"
        )
