"""Recorded music: tracks of Debian's game packages, split by package and by piece."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import numpy as np

from bench.music.packages import LICENCE, RECORDED, Package, fetch, link, unpack_music
from bench.music.pieces import SAME, Floats, fingerprint, group, similarities
from mscol_cli.audio import audio_header, find_audio
from mscol_cli.contracts.task import Split
from mscol_cli.system.files import write_atomically, write_text

MIN_SECONDS = 30.0
MANIFEST = "manifest.csv"
ORDER: tuple[Split, ...] = ("train", "valid", "test")


@dataclass(frozen=True)
class Track:
    """A row of the manifest.

    Attributes:
        path: Path of the track in the folder of its split.
        package: Package that has it.
        split: Split of its piece.
        piece: Path of the first track of the same piece.
        seconds: Duration.
        kept: Whether it is in the folder of its split; of two tracks of which one contains the
            other, only the longer one is.
        excerpts: Excerpts of another collection that were cut from it, separated by `;`.
        licence: Path of the package's copyright file.
    """

    path: str
    package: str
    split: Split
    piece: str
    seconds: float
    kept: bool
    excerpts: str
    licence: str


def make_recorded(
    folder: Path,
    packages: Path,
    excerpts: Path | None = None,
    chosen: Sequence[Package] = RECORDED,
) -> list[Track]:
    """Write `train`, `valid` and `test` with the music of packages, and `manifest.csv`.

    Args:
        folder: Output folder.
        packages: Folder of .deb files; missing ones are downloaded into it.
        excerpts: Folder of other music; the manifest names the tracks that it was cut from.
        chosen: The packages.

    Returns:
        The rows of the manifest.
    """
    tracks: list[Track] = []
    for package in chosen:
        print(package.name, file=sys.stderr)
        unpack_music(fetch(package.name, packages), package, folder / "unpacked" / package.name)
        tracks += _tracks(folder, package)
    prints = [_fingerprint(folder, track.path) for track in tracks]
    similarity = similarities(prints)
    np.save(folder / "similarities.npy", similarity)
    tracks = without_repeats(in_pieces(tracks, similarity), similarity)
    if excerpts:
        tracks = _with_excerpts(tracks, prints, excerpts)
    for track in tracks:
        if track.kept:
            link(folder / "unpacked" / track.path, folder / track.split / track.path)
    write_manifest(folder / MANIFEST, tracks)
    return tracks


def _tracks(folder: Path, package: Package) -> Iterator[Track]:
    unpacked = folder / "unpacked"
    for file in find_audio([unpacked / package.name]).files:
        header = audio_header(file.path)
        if header is not None and header.seconds >= MIN_SECONDS:
            path = file.path.relative_to(unpacked).as_posix()
            licence = f"unpacked/{package.name}/{LICENCE}"
            seconds = round(header.seconds, 1)
            yield Track(path, package.name, package.split, path, seconds, True, "", licence)


def _fingerprint(folder: Path, path: str) -> Floats:
    """Fingerprint of a track, kept in a file."""
    cache = folder / "fingerprints" / f"{path}.npy"
    if not cache.exists():
        cache.parent.mkdir(parents=True, exist_ok=True)
        levels = fingerprint(folder / "unpacked" / path)
        write_atomically(cache, lambda part: np.save(part, levels))
    return np.asarray(np.load(cache), np.float32)


def in_pieces(tracks: Sequence[Track], similarity: Floats) -> list[Track]:
    """Name the piece of each track; a piece is in the last split that has one of its tracks."""
    pieces = group([track.path for track in tracks], similarity)
    split: dict[int, Split] = {}
    for piece, track in zip(pieces, tracks, strict=True):
        split[piece] = max(split.get(piece, "train"), track.split, key=ORDER.index)
    return [
        replace(track, piece=tracks[piece].path, split=split[piece])
        for piece, track in zip(pieces, tracks, strict=True)
    ]


def without_repeats(tracks: Sequence[Track], similarity: Floats) -> list[Track]:
    """Mark tracks of which a longer track has the music; of equal ones the first is kept."""
    order = sorted(range(len(tracks)), key=lambda row: (-tracks[row].seconds, row))
    kept: list[int] = []
    for row in order:
        if not any(similarity[row, other] >= SAME for other in kept):
            kept.append(row)
    return [replace(track, kept=row in kept) for row, track in enumerate(tracks)]


def _with_excerpts(
    tracks: Sequence[Track], prints: Sequence[Floats], excerpts: Path
) -> list[Track]:
    """Name the excerpts that were cut from each track."""
    files = find_audio([excerpts]).files
    queries = [fingerprint(file.path) for file in files]
    similarity = similarities([*prints, *queries])[len(prints) :, : len(prints)]
    names: Mapping[int, list[str]] = {row: [] for row in range(len(tracks))}
    for query, row in zip(*np.nonzero(similarity >= SAME), strict=True):
        names[int(row)].append(files[int(query)].name)
    return [replace(track, excerpts=";".join(names[row])) for row, track in enumerate(tracks)]


def write_manifest(path: Path, tracks: Sequence[Track]) -> None:
    """Write a CSV file with a row per track."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(Track)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(track) for track in tracks)
    write_text(path, text.getvalue())


def summary(tracks: Sequence[Track]) -> str:
    """Tracks, pieces and hours of each split."""
    lines = []
    for split in ORDER:
        kept = [track for track in tracks if track.kept and track.split == split]
        pieces, hours = len({t.piece for t in kept}), sum(t.seconds for t in kept) / 3600
        lines.append(f"{split}: {len(kept)} tracks, {pieces} pieces, {hours:.1f} h")
    return "\n".join(lines)
