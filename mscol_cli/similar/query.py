"""Queries: a file, a clip of the folder, or a moment in either."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from mscol_cli.errors import BadInputError
from mscol_cli.similar.library import Library
from mscol_cli.similar.search import FloatArray
from mscol_cli.system.files import absolute_path, file_hash, is_regular, may_exist
from mscol_cli.vectors import FileVersion

MOMENT = re.compile(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d+)?)")
"""`H:M:S`, `M:S` or seconds."""


@dataclass(frozen=True)
class Query:
    """What to find neighbours of.

    Attributes:
        text: As it was given.
        path: The file; None for a track of a store.
        clip: Number of the same clip in the folder, which is not its own neighbour; None if the
            folder does not have it.
        is_stored: Whether the vectors of the clip in the folder are those of this file.
        at_s: Moment in seconds; None for the complete file.
    """

    text: str
    path: Path | None
    clip: int | None = None
    is_stored: bool = False
    at_s: float | None = None


def find_query(text: str, library: Library) -> Query:
    """Find the file, or the clip of the folder, of a query.

    Args:
        text: Path of a file or id of a clip, perhaps followed by `@` and a moment. A path or id
            that exists as given is never split.
        library: The folder of vectors.

    Raises:
        BadInputError: There is neither a file nor a clip of this name.
    """
    name, _, moment = text.rpartition("@")
    whole = _find(text, text, library)
    if whole is None and name and (match := MOMENT.fullmatch(moment)):
        hours, minutes, seconds = (float(part or 0) for part in match.groups())
        whole = _find(text, name, library, at_s=3600 * hours + 60 * minutes + seconds)
    if whole is None:
        missing = "is not a file" if may_exist(Path(text)) else "no such file"
        raise BadInputError(
            f"{text}: {missing}, and no clip of {library.folder.path} has this id; name a file"
            " or an id, and a moment in it as NAME@1:23"
        )
    return whole


def stored_vector(query: Query, library: Library) -> FloatArray | None:
    """Vector of a query, (dim,), from those of the folder; None if it must be embedded.

    A moment is the stored window that starts nearest to it.

    Raises:
        BadInputError: The clip ends before the moment.
    """
    if query.clip is None or not query.is_stored:
        return None
    vectors = library.vectors.clip(query.clip)
    if query.at_s is None:
        return pooled(vectors, library)
    if not library.has_windows:
        return None
    header = library.folder.header
    end_s = ((len(vectors) - 1) * header.hop + header.window) / header.sample_rate
    if query.at_s >= end_s + header.hop / header.sample_rate:
        raise after_end(query, end_s)
    window: FloatArray = vectors[library.row_at(query.at_s, len(vectors))]
    return window


def pooled(windows: FloatArray, library: Library) -> FloatArray:
    """Pool windows (windows, dim) to one vector (dim,) as in the folder; by default their mean."""
    maximum = library.folder.header.pool == "max"
    vector: FloatArray = windows.max(axis=0) if maximum else windows.mean(axis=0)
    return vector


def after_end(query: Query, seconds: float) -> BadInputError:
    """The error for a moment after the end of a clip of this duration in seconds."""
    return BadInputError(f"{query.text}: the clip ends at {seconds:.1f} s; name an earlier moment")


def _find(text: str, name: str, library: Library, at_s: float | None = None) -> Query | None:
    path = Path(name)
    if is_regular(path):
        clip, is_stored = _stored(path, library)
        return Query(text, path, clip, is_stored, at_s)
    if name not in library.number:
        return None
    clip = library.number[name]
    file = Path(library.entries[clip].path)
    return Query(text, file if is_regular(file) else None, clip, True, at_s)


def _stored(path: Path, library: Library) -> tuple[int | None, bool]:
    """The clip of a file by path or content, and whether it has the same content."""
    version = FileVersion.of(path)
    if version is None:
        return None, False
    by_path = library.by_path.get(str(absolute_path(path)))
    if by_path is not None:
        entry = library.entries[by_path]
        if (entry.size, entry.mtime_ns) == (version.size, version.mtime_ns):
            return by_path, True
    same_size = library.by_size.get(version.size, ())
    digest = _hash(path) if same_size else None
    same = [number for number in same_size if library.entries[number].sha256 == digest]
    if same:
        return (by_path if by_path in same else same[0]), True
    return by_path, False


def _hash(path: Path) -> str | None:
    try:
        return file_hash(path)
    except OSError:  # its decoder reports it
        return None
