"""Reading the checkpoint that a run resumes from: the same one in every process."""

from __future__ import annotations

import json
import time
import zlib
from functools import partial
from pathlib import Path

import torch

from mscol_cli.errors import MscolError
from mscol_cli.pretrain.processes import decided_by_first
from mscol_cli.runs.checkpoint import Restorable, read_restorable, restorable
from mscol_cli.runs.layout import CHECKPOINTS
from mscol_cli.system import distributed

_ATTEMPTS, _PAUSE_S = 3, 1.0


def shared_checkpoint(run: Path, device: torch.device) -> Restorable | None:
    """Read the newest readable checkpoint of a run; None if there is none yet.

    The first process chooses it. The others read exactly that one: a process whose disk fails for a
    moment must not resume from an older step.

    Raises:
        UsageError, MissingDataError: The first process can read no checkpoint.
        MscolError: A process cannot read the chosen one, or has read other content.
        SystemExit: In another process than the first, which prints its error.
    """
    name, restored = decided_by_first(partial(_newest, run), device)
    if not name or distributed.world_size() == 1:
        return restored
    folder, problem = run / CHECKPOINTS / name, ""
    if restored is None:
        try:
            restored = _read_patiently(folder)
        except (MscolError, OSError) as error:
            problem = f" ({error})"
    checksum = -1 if restored is None else _checksum(restored)
    checksums = distributed.gather(torch.tensor([checksum], device=device)).tolist()
    for rank, other in enumerate(checksums):
        if other != checksums[0]:
            raise MscolError(
                f"process {rank} has not read the same {folder} as process 0{problem}: check the"
                " disk of its host, then resume with --resume."
            )
    return restored


def _newest(run: Path) -> tuple[str, Restorable | None]:
    restored = restorable(run)
    return (restored.checkpoint.folder.name if restored else "", restored)


def _read_patiently(folder: Path) -> Restorable:
    """Read a checkpoint that the first process has read, so that an error may be a passing one."""
    for _ in range(_ATTEMPTS - 1):
        try:
            return read_restorable(folder)
        except (MscolError, OSError):
            time.sleep(_PAUSE_S)
    return read_restorable(folder)


def _checksum(restored: Restorable) -> int:
    """CRC-32 of what a checkpoint has: settings, and names and values of the tensors."""
    crc = zlib.crc32(json.dumps(restored.checkpoint.info, sort_keys=True).encode())
    for stem, tensors in sorted(restored.tensors.items()):
        for name, tensor in sorted(tensors.items()):
            crc = zlib.crc32(f"{stem} {name}".encode(), crc)
            crc = zlib.crc32(tensor.reshape(-1).view(torch.uint8).numpy().data, crc)
    return crc
