"""Grouping the inputs of `separate` into tracks, including those that cannot be used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from mscol_cli.audio import AudioListing, find_audio
from mscol_cli.contracts.plans import MIXTURE
from mscol_cli.contracts.progress import Progress
from mscol_cli.contracts.separator import Separator, TrackInput
from mscol_cli.errors import UsageError
from mscol_cli.host.checks import separator as checks
from mscol_cli.separate.plan import unique_ids
from mscol_cli.system.files import real_path
from mscol_cli.system.units import counted

STEMS = frozenset({"bass", "drums", "other", "vocals"})
"""Usual names of true stems. A folder with two of them is unlikely to be an album."""


def find_tracks(
    inputs: Sequence[Path], store: Path, separator: Separator, progress: Progress
) -> list[TrackInput]:
    """Group the audio files of the inputs into tracks, as the separator does.

    Folders that cannot be listed become tracks with a problem.

    Args:
        inputs: Files and folders.
        store: Folder of the store; its files are ignored.
        separator: The separator to run.
        progress: Receives notes about a store inside an input, and about files that look like true
            stems but are separated as mixtures.

    Raises:
        MissingDataError: An input does not exist, or none contains audio.
        UsageError: All files are true stems, and the separator would treat each as a mixture.
    """
    listing = _without_store(store, inputs, find_audio(inputs), progress)
    tracks = checks.find_tracks(separator, listing.files)
    _check_stems(tracks, separator, progress)
    unlisted = [TrackInput(name, problem=reason) for name, reason in listing.failures]
    return unique_ids([*tracks, *unlisted])


def _without_store(
    store: Path, inputs: Sequence[Path], listing: AudioListing, progress: Progress
) -> AudioListing:
    real = real_path(store)
    if not any(real_path(source) in real.parents for source in inputs):
        return listing
    progress.note(f"{store} lies inside an input; its files are not separated")
    files = [file for file in listing.files if real not in real_path(file.path).parents]
    return replace(listing, files=files)


def _check_stems(tracks: Sequence[TrackInput], separator: Separator, progress: Progress) -> None:
    """Print a note, or raise UsageError, if mixtures look like true stems."""
    mixtures = [track.files[MIXTURE] for track in tracks if set(track.files) == {MIXTURE}]
    folders = _stem_folders(mixtures, STEMS | set(separator.sources))
    if not folders:
        return
    folder, example = next(iter(folders.items()))
    others = counted(len(folders) - 1, "more folder")
    finding = (
        f"{folder} looks like true stems ({', '.join(example)})"
        f"{f', and {others} like it' if len(folders) > 1 else ''}"
    )
    if separator.sources and all(path.parent in folders for path in mixtures):
        raise UsageError(f"{finding}, as do all inputs: use --separator stems.")
    progress.note(f"{finding}: each file is separated as a mixture; --separator stems uses stems")


def _stem_folders(
    files: Sequence[Path], names: set[str] | frozenset[str]
) -> Mapping[Path, list[str]]:
    """Folders with at least two files named like stems, with the names of these files."""
    folders: dict[Path, list[str]] = {}
    for path in files:
        if path.stem.lower() in names:
            folders.setdefault(path.parent, []).append(path.name)
    return {folder: stems for folder, stems in folders.items() if len(stems) > 1}
