"""Bytes: how many are free, and how many are there."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from mscol_cli.errors import MscolError
from mscol_cli.units import format_bytes


def free(folder: Path) -> int:
    """Bytes free where a folder is, or will be made."""
    place = folder.absolute()
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free


def used(folder: Path) -> int:
    """Bytes of all files in a folder, 0 if it is not there."""
    return sum(
        Path(root, name).lstat().st_size for root, _, names in os.walk(folder) for name in names
    )


def require(count: int, folder: Path, what: str) -> None:
    """Raise MscolError unless there is room for `count` more bytes."""
    available = free(folder)
    if count > available:
        raise MscolError(
            f"{what} needs {format_bytes(count)} on the disk of {folder}, which has"
            f" {format_bytes(available)} free: make room, or choose another place with -o"
        )
