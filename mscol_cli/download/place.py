"""Where a collection goes, and one process at a time in it."""

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
    """Where a collection goes unless the user says otherwise."""
    if collection.folder != TORCH_HUB:
        return Path(collection.folder)
    import torch

    return Path(torch.hub.get_dir()) / "checkpoints"


@contextmanager
def alone_in(folder: Path, progress: Progress) -> Iterator[None]:
    """Make the folder and keep other processes that download out of it; wait for one that does.

    Raises:
        MscolError: The folder cannot be made or written, before or in what is done in it.
    """
    with writing(folder, MAKE_ROOM):
        folder.mkdir(parents=True, exist_ok=True)
        # Some network disks cannot lock folders; hashes still detect a file that two processes
        # wrote.
        lock = Lock(folder, required=False)
        if not lock.take():
            progress.note(f"waiting for another mscol that downloads to {folder}")
        with lock:
            yield
