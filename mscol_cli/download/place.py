"""Where a collection goes, and one process at a time in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mscol_cli.contracts.progress import Progress
from mscol_cli.download.table import Collection
from mscol_cli.errors import MscolError
from mscol_cli.system.locks import Lock

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
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder, progress):
            yield
    except OSError as error:
        raise MscolError(
            f"{folder} cannot be written ({error.strerror or error}): make room or check the disk,"
            " then run the same command again"
        ) from error


@contextmanager
def _locked(folder: Path, progress: Progress) -> Iterator[None]:
    # Some network disks cannot lock folders; hashes still detect a file that two processes wrote.
    lock = Lock(folder, required=False)
    if not lock.take():
        progress.note(f"waiting for another mscol that downloads to {folder}")
        lock.take(wait=True)
    try:
        yield
    finally:
        lock.release()
