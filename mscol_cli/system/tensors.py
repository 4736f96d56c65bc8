"""Writing safetensors files."""

from __future__ import annotations

import errno
import json
import os
import re
import struct
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from mscol_cli.system.files import make_readable, sync


def storable(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Contiguous tensors with memory of their own: safetensors refuses shared weights."""
    own: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, tensor in tensors.items():
        contiguous = tensor.contiguous()
        address = contiguous.untyped_storage().data_ptr()
        own[name] = contiguous.clone() if address in seen else contiguous
        seen |= {address} - {0}
    return own


def save_tensors(
    path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None
) -> None:
    """Write a safetensors file and flush it to the disk.

    Raises:
        OSError: The file cannot be written.
    """
    try:
        save_file(storable(tensors), path, dict(metadata) if metadata else None)
    except SafetensorError as error:
        # The library reports errors of the system as text: "... (os error 28)", or "Os { code: 28".
        match = re.search(r"(?:os error|Os { code:) (\d+)", str(error))
        number = int(match[1]) if match else errno.EIO
        raise OSError(number, os.strerror(number), str(path)) from error
    if metadata:
        _sort_metadata(path)
    make_readable(path)
    sync(path)


def _sort_metadata(path: Path) -> None:
    """Sort the metadata, which the library writes in random order, so that equal files are equal
    byte for byte."""
    with path.open("r+b") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode("utf-8")
        if len(text) <= length:
            file.seek(8)
            file.write(text.ljust(length))
