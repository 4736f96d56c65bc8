"""Default folder of a collection, and the lock on a folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mscol_cli.contracts.progress import Progress
from mscol_cli.download.table import Collection
from mscol_cli.system.locks import Lock
from mscol_cli.system.outcomes import MAKE_ROOM, writing

TORCH_HUB = "torch.hub"


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
        # Some network disks cannot lock folders. Hashes still detect a file written by two
        # processes.
        lock = Lock(folder, required=False)
        if not lock.take():
            progress.note(f"waiting for another download to {folder}")
        with lock:
            yield
