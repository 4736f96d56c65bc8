"""`mscol cache ls`: the folders of vectors in the cache."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mscol_cli.cache.folder import USED, vectors_folder
from mscol_cli.errors import MscolError
from mscol_cli.system.files import may_exist, used_bytes
from mscol_cli.vectors import HEADER, VectorFolder

REMOVED = ".removed-"
"""Prefix of a folder while it is removed. An interrupted removal leaves it for the next one."""


@dataclass(frozen=True)
class CachedModel:
    """A folder of the cache.

    Attributes:
        folder: The folder.
        model: Name of the model; None if this version of mscol cannot read the folder.
        model_hash: SHA-256 of its weights.
        encoder: Name of its encoder.
        corruption: Name of the corruption applied to the files; None without.
        files: Number of files with vectors.
        vectors: Number of vectors.
        bytes: Size of the folder.
        last_used: Seconds since 1970.
        orphaned: Whether none of the files exists any more.
    """

    folder: Path
    model: str | None
    model_hash: str | None
    encoder: str | None
    corruption: str | None
    files: int
    vectors: int
    bytes: int
    last_used: float
    orphaned: bool


@dataclass(frozen=True)
class CacheListing:
    """The folders of the cache.

    Attributes:
        folder: Folder of the folders.
        models: The folders, last used first.
        bytes: Size of all of them.
    """

    folder: Path
    models: tuple[CachedModel, ...]
    bytes: int


def list_cache() -> CacheListing:
    """List the folders of the cache. A missing cache is empty."""
    root = vectors_folder()
    folders = [path for path in root.iterdir() if _is_own(path)] if root.is_dir() else []
    models = sorted(map(_read, folders), key=lambda model: (-model.last_used, model.folder))
    return CacheListing(root, tuple(models), sum(model.bytes for model in models))


def _is_own(path: Path) -> bool:
    # A link leads to a folder that is not part of the cache.
    return path.is_dir() and not path.is_symlink()


def _read(path: Path) -> CachedModel:
    size, used = used_bytes(path), _last_used(path)
    unreadable = CachedModel(path, None, None, None, None, 0, 0, size, used, orphaned=False)
    if path.name.startswith(REMOVED):
        return unreadable
    try:
        folder = VectorFolder.open(path)
    except MscolError:
        return unreadable
    header, entries = folder.header, [entry for entry in folder.entries if entry.rows]
    return CachedModel(
        folder=path,
        model=header.model,
        model_hash=header.model_hash,
        encoder=header.encoder,
        corruption=header.corruption,
        files=len(entries),
        vectors=sum(entry.rows for entry in entries),
        bytes=size,
        last_used=used,
        orphaned=not any(may_exist(Path(entry.path)) for entry in entries),
    )


def _last_used(path: Path) -> float:
    """Latest modification of the folder, its mark of use and its header."""
    times = [0.0]  # another process may remove the folder
    for file in (path, path / USED, path / HEADER):
        with suppress(FileNotFoundError):
            times.append(file.stat().st_mtime)
    return max(times)
