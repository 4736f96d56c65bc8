"""Default folder of a collection, and the lock on a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mscol_cli.contracts.progress import Progress
from mscol_cli.download.table import Collection
from mscol_cli.system.locks import Lock
from mscol_cli.system.outcomes import MAKE_ROOM, writing

TORCH_HUB = "torch.hub"
_LOCK = ".mscol-download.lock"
"""Not the folder itself is locked, as NFS locks only files that can be written."""


def default_folder(collection: Collection) -> Path:
    """Default folder of a collection."""
    if collection.folder != TORCH_HUB:
        return Path(collection.folder)
    import torch

    return Path(torch.hub.get_dir()) / "checkpoints"


@contextmanager
def download_lock(folder: Path, progress: Progress) -> Iterator[None]:
    """Create a folder and lock it against other downloads, waiting for a running one.

    Raises:
        MscolError: The folder cannot be created or written to, also within the context.
    """
    with writing(folder, MAKE_ROOM):
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):  # nothing can be downloaded to it
            yield
            return
        # Hashes detect a file written by two processes, where locks have no effect.
        path = folder / _LOCK
        lock = Lock(path, required=False)
        if not lock.take():
            progress.note(f"waiting for another download to {folder}")
        with lock:
            try:
                yield
            finally:
                with suppress(OSError):
                    path.unlink()
