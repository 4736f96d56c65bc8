"""The tracks that the inputs of `separate` make, those that cannot be tracks among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from mscol_cli.audio import AudioListing, find_audio
from mscol_cli.contracts.plans import MIXTURE
from mscol_cli.contracts.progress import Progress
from mscol_cli.contracts.separator import Separator, TrackInput
from mscol_cli.errors import UsageError
from mscol_cli.host.checks import separator as checks
from mscol_cli.separate.plan import unique_ids
from mscol_cli.system.files import real_path

STEMS = frozenset({"bass", "drums", "other", "vocals"})
"""Names of true stems: a folder with two of them is hardly an album."""


def find_tracks(
    inputs: Sequence[Path], store: Path, separator: Separator, progress: Progress
) -> list[TrackInput]:
    """Group the audio under the inputs into tracks, as the separator does.

    Folders that cannot be listed become tracks with a problem.

    Args:
        inputs: Files and folders.
        store: Folder of the store; nothing in it is music.
        separator: What separates the tracks.
        progress: Told of a store among the inputs, and of true stems that are taken for mixtures.

    Raises:
        MissingDataError: An input is not there, or there is no audio in any.
        UsageError: All that is there are true stems, from which sources would be estimated.
    """
    listing = _outside(store, inputs, find_audio(inputs), progress)
    tracks = checks.find_tracks(separator, listing.files)
    _check_stems(tracks, separator, progress)
    unlisted = [TrackInput(name, problem=reason) for name, reason in listing.failures]
    return unique_ids([*tracks, *unlisted])


def _outside(
    store: Path, inputs: Sequence[Path], listing: AudioListing, progress: Progress
) -> AudioListing:
    real = real_path(store)
    if not any(real_path(source) in real.parents for source in inputs):
        return listing
    progress.note(f"{store} lies inside an input; nothing in it is taken as music")
    files = [file for file in listing.files if real not in real_path(file.path).parents]
    return AudioListing(files, listing.failures, listing.left_out)


def _check_stems(tracks: Sequence[TrackInput], separator: Separator, progress: Progress) -> None:
    """Say that files look like true stems, where each would be separated as a mixture."""
    mixtures = [track.files[MIXTURE] for track in tracks if set(track.files) == {MIXTURE}]
    folders = _stem_folders(mixtures, STEMS | set(separator.sources))
    if not folders:
        return
    folder, example = next(iter(folders.items()))
    found = (
        f"{folder} looks like true stems ({', '.join(example)})"
        f"{f', and so do {len(folders) - 1} more folders' if len(folders) > 1 else ''}"
    )
    if separator.sources and all(path.parent in folders for path in mixtures):
        raise UsageError(f"{found}, and there is nothing else: take them with --separator stems.")
    progress.note(f"{found}: --separator stems takes them as such, here each file is a mixture")


def _stem_folders(
    files: Sequence[Path], names: set[str] | frozenset[str]
) -> Mapping[Path, list[str]]:
    """Folders in which at least two files have names of stems, with the names of these files."""
    found: dict[Path, list[str]] = {}
    for path in files:
        if path.stem.lower() in names:
            found.setdefault(path.parent, []).append(path.name)
    return {folder: named for folder, named in found.items() if len(named) > 1}
