"""`mscol cache prune`: remove folders of the cache."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mscol_cli.cache.folder import USED
from mscol_cli.cache.listing import REMOVED, CachedModel, list_cache
from mscol_cli.errors import UsageError
from mscol_cli.system.locks import Lock

_MIN_HASH = 4


@dataclass(frozen=True)
class PruneRequest:
    """What to remove. Without a choice: folders of other versions of mscol, and of files that do
    not exist any more.

    Attributes:
        models: Names of models or encoders, or the first characters of hashes.
        older_than_s: Only folders that were not used for this many seconds.
        every: Remove all folders.
        dry_run: Remove nothing.
    """

    models: Sequence[str] = ()
    older_than_s: float | None = None
    every: bool = False
    dry_run: bool = False


@dataclass(frozen=True)
class PruneResult:
    """Result of pruning.

    Attributes:
        folder: Folder of the folders.
        removed: Removed folders; with `dry_run`, those that would be.
        in_use: Chosen folders that another process uses; they were kept.
        bytes: Size of the removed folders.
        dry_run: Whether nothing was removed.
    """

    folder: Path
    removed: tuple[CachedModel, ...]
    in_use: tuple[CachedModel, ...]
    bytes: int
    dry_run: bool


def prune(request: PruneRequest) -> PruneResult:
    """Remove folders of the cache, except those in use.

    Raises:
        UsageError: The choice is contradictory, or names a model that is not in the cache.
        OSError: A folder cannot be removed.
    """
    if request.every and (request.models or request.older_than_s is not None):
        raise UsageError("--all removes everything: leave out --model and --older-than.")
    listing = list_cache()
    for name in request.models:
        if not any(_matches(model, name) for model in listing.models):
            raise UsageError(f"the cache has no model '{name}': see 'mscol cache ls'.")
    chosen = [model for model in listing.models if _is_chosen(model, request)]
    removed: list[CachedModel] = []
    in_use: list[CachedModel] = []
    for model in chosen:
        (removed if _remove(model.folder, request.dry_run) else in_use).append(model)
    size = sum(model.bytes for model in removed)
    return PruneResult(listing.folder, tuple(removed), tuple(in_use), size, request.dry_run)


def _is_chosen(model: CachedModel, request: PruneRequest) -> bool:
    if request.every:
        return True
    if not request.models and request.older_than_s is None:
        return model.model is None or model.orphaned
    old = request.older_than_s is None or time.time() - model.last_used > request.older_than_s
    return old and (not request.models or any(_matches(model, name) for name in request.models))


def _matches(model: CachedModel, name: str) -> bool:
    of_hash = len(name) >= _MIN_HASH and (model.model_hash or "").startswith(name)
    return of_hash or name in (model.model, model.encoder)


def _remove(folder: Path, dry_run: bool) -> bool:
    """Remove a folder; returns False if another process uses it."""
    hidden = folder
    if not folder.name.startswith(REMOVED):
        # A dry run does not create the file either.
        if dry_run and not (folder / USED).exists():
            return True
        lock = Lock(folder / USED, required=False)
        try:
            if not lock.take():
                return False
        except FileNotFoundError:
            return True  # another process has removed it
        with lock:
            hidden = folder if dry_run else _hide(folder)
    if not dry_run:
        # Without the lock: NFS keeps a file that is open.
        _delete(hidden)
    return True


def _hide(folder: Path) -> Path:
    """Rename a folder before it is removed, so that nobody finds half of it."""
    hidden = folder.with_name(REMOVED + folder.name)
    _delete(hidden)
    with suppress(FileNotFoundError):  # another process removes it
        folder.rename(hidden)
    return hidden


def _delete(folder: Path) -> None:
    with suppress(FileNotFoundError):
        shutil.rmtree(folder)
