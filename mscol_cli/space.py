"""Bytes: how many are free, how many are there, and how people read them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from mscol_cli.errors import MscolError

UNITS = ("kB", "MB", "GB", "TB")


def readable(count: int) -> str:
    """Bytes with three digits and a decimal unit: `2.97 GB`."""
    if count < 1000:
        return f"{count} bytes"
    value = float(count)
    for unit in UNITS:
        value /= 1000
        if value < 999.5 or unit == UNITS[-1]:
            break
    return f"{value:.{max(0, 3 - len(str(int(value))))}f} {unit}"


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
            f"{what} needs {readable(count)} on the disk of {folder}, which has"
            f" {readable(available)} free: make room, or choose another place with -o"
        )
