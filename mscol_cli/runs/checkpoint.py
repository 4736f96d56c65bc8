"""Saving, pruning and restoring checkpoints: folders of safetensors files with a run.json."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from mscol_cli.errors import MissingDataError, MscolError, UsageError
from mscol_cli.runs.layout import (
    CHECKPOINTS,
    CHECKSUMS,
    ENCODER,
    RUN,
    STAMP,
    WEIGHTS,
    checkpoint_folder,
    checkpoint_folders,
    read_model_info,
    step_of,
)
from mscol_cli.system.files import file_hash, replace_link, sync, write_json, write_text
from mscol_cli.system.temporary import remove_leftovers, temporary_folder, temporary_path
from mscol_cli.system.tensors import save_tensors

BEST = "best"
Texts = Callable[[Path], Mapping[str, str]]


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint on disk.

    Attributes:
        folder: Folder of the checkpoint.
        step: Number of training steps.
        info: Content of its run.json.
    """

    folder: Path
    step: int
    info: dict[str, Any]


@dataclass(frozen=True)
class Restorable:
    """A checkpoint in memory.

    Attributes:
        checkpoint: The checkpoint on disk.
        tensors: Tensors on the CPU, by file stem (`encoder`, `objective`, `optimizer`) and name.
        damaged: Newer checkpoints that cannot be read, with reasons.
    """

    checkpoint: Checkpoint
    tensors: Mapping[str, dict[str, Tensor]]
    damaged: Mapping[Path, str] = field(default_factory=dict)


def save_checkpoint(
    run: Path, step: int, info: Mapping[str, Any], tensors: Mapping[str, Mapping[str, Tensor]]
) -> Path:
    """Write `RUN/checkpoints/step-NNNNNNNN` and return its path.

    Args:
        run: The run folder.
        step: Number of training steps.
        info: Settings of the run; the step is added.
        tensors: Tensors by file stem (`encoder`, `objective`, `optimizer`) and name.
    """
    final = checkpoint_folder(run, step)
    # Without parents: a run that was removed meanwhile is not made again.
    final.parent.mkdir(exist_ok=True)
    with _filled(final, {**info, "step": step}, tensors) as temporary:
        if final.exists():
            _delete(final)
        temporary.rename(final)
    return final


def save_model(
    folder: Path,
    step: int,
    info: Mapping[str, Any],
    tensors: Mapping[str, Mapping[str, Tensor]],
    settings: str = RUN,
    texts: Texts | None = None,
) -> None:
    """Write a checkpoint outside of a run.

    Args:
        folder: A new or empty folder.
        step: Number of training steps.
        info: Description of the model; layout and step are added.
        tensors: Tensors by file stem (`encoder`, `objective`) and name.
        settings: Name of the file of the description: `run.json` or `config.json`.
        texts: Makes further files from the folder with the weights: their texts, by name.

    Raises:
        UsageError: The folder is not empty.
    """
    refuse_occupied(folder)
    content = {**STAMP, **info, "step": step}
    final = folder.resolve()
    with _filled(final, content, tensors, settings) as temporary:
        for name, text in (texts(temporary) if texts else {}).items():
            write_text(temporary / name, text)
        # Fails if another process has filled the folder meanwhile.
        temporary.rename(final)


def refuse_occupied(folder: Path) -> None:
    """Raise UsageError if a path is a file or a folder that is not empty."""
    if folder.is_dir():
        if any(folder.iterdir()):
            raise UsageError(f"{folder} already contains files: choose another -o.")
    elif folder.exists():
        raise UsageError(f"{folder} is a file: choose another -o.")


@contextmanager
def _filled(
    final: Path,
    content: Mapping[str, Any],
    tensors: Mapping[str, Mapping[str, Tensor]],
    settings: str = RUN,
) -> Iterator[Path]:
    """Write a temporary folder beside `final`. The caller renames it to `final`."""
    with temporary_folder(final) as temporary:
        checksums = {}
        for stem, named in tensors.items():
            path = temporary / f"{stem}.safetensors"
            save_tensors(path, named)
            checksums[path.name] = file_hash(path)
        write_json(temporary / settings, {**content, CHECKSUMS: checksums})
        sync(temporary)
        yield temporary
        sync(final.parent)


def run_of(folder: Path) -> Path:
    """Run folder of a checkpoint; the checkpoint itself if it belongs to no run."""
    is_checkpoint = folder.name == BEST or step_of(folder) is not None
    inside = folder.parent.name == CHECKPOINTS and is_checkpoint
    return folder.parent.parent if inside else folder


def keep_best(run: Path) -> None:
    """Point `RUN/checkpoints/best` at the scheduled checkpoint with the lowest `loss`; the last of
    several. It is never pruned, so the existing checkpoints determine it."""
    candidates = [folder for folder in reversed(checkpoint_folders(run)) if _is_scheduled(folder)]
    if candidates:
        replace_link(run / CHECKPOINTS / BEST, Path(min(candidates, key=_loss).name))


def _is_scheduled(folder: Path) -> bool:
    """Whether a checkpoint is one that an undisturbed run has, too."""
    try:
        return bool(read_checkpoint(folder).info.get("scheduled"))
    except (MissingDataError, UsageError):
        return False


def _loss(folder: Path) -> float:
    loss = read_checkpoint(folder).info.get("loss")
    return float(loss) if isinstance(loss, (int, float)) else math.inf


def prune(run: Path, keep: int) -> None:
    """Delete all but the best and the last `keep` checkpoints of a run, and temporary folders of
    interrupted processes.

    Raises:
        OSError: Some could not be deleted; the others were.
    """
    best = (run / CHECKPOINTS / BEST).resolve().name
    problem: OSError | None = None
    for folder in checkpoint_folders(run)[:-keep]:
        try:
            if folder.name != best:
                _delete(folder)
        except OSError as error:
            problem = error
    remove_leftovers(run / CHECKPOINTS)
    if problem is not None:
        raise problem


def _delete(folder: Path) -> None:
    """Delete a checkpoint. A folder with an open file stays on NFS: what remains has the name of a
    leftover. Raises OSError if the checkpoint cannot be renamed."""
    leftover = temporary_path(folder)
    folder.rename(leftover)
    shutil.rmtree(leftover, ignore_errors=True)


def latest_checkpoint(path: Path) -> Checkpoint | None:
    """The newest checkpoint of a run folder; None if there is none yet."""
    folders = checkpoint_folders(path)
    return read_checkpoint(folders[-1]) if folders else None


def read_checkpoint(folder: Path) -> Checkpoint:
    """Read a checkpoint's run.json, or the config.json of a model repository.

    Raises:
        MissingDataError: The folder is not a checkpoint.
        UsageError: The layout is not supported.
    """
    info = read_model_info(folder)
    return Checkpoint(folder, info.get("step", 0), info)


def read_weights(folder: Path, stem: str) -> dict[str, Tensor]:
    """Read the tensors of `FOLDER/STEM.safetensors`, by name, on the CPU.

    Raises:
        MissingDataError: The file does not exist.
        UsageError: The file is damaged.
    """
    path = folder / f"{stem}.safetensors"
    if not path.is_file():
        raise MissingDataError(f"{path} is missing: the checkpoint is incomplete.")
    try:
        return load_file(path)
    except SafetensorError as error:
        raise UsageError(f"{path} is damaged ({error}): use an earlier checkpoint.") from error


def weights_hash(folder: Path) -> str:
    """SHA-256 of the encoder weights, which identifies a model in caches and reports."""
    return file_hash(folder / f"{ENCODER}.safetensors")


def restorable(run: Path) -> Restorable | None:
    """The newest readable checkpoint of a run; None if there is none yet.

    Raises:
        UsageError, MissingDataError: No existing checkpoint can be read.
    """
    damaged: dict[Path, str] = {}
    newest: MscolError | None = None
    for folder in reversed(checkpoint_folders(run)):
        try:
            return replace(read_restorable(folder), damaged=damaged)
        except MscolError as error:
            damaged[folder] = str(error)
            newest = newest or error
    if newest is not None:
        raise newest
    return None


def read_restorable(folder: Path) -> Restorable:
    """Read a checkpoint with the state of its optimizer.

    Raises:
        UsageError, MissingDataError: It cannot be read.
    """
    tensors = {stem: read_weights(folder, stem) for stem in WEIGHTS}
    return Restorable(read_checkpoint(folder), tensors)


def set_aside(folder: Path) -> None:
    """Rename a damaged checkpoint so that it is ignored but kept."""
    number = 1
    while (path := folder.with_name(f"damaged-{number}-{folder.name}")).exists():
        number += 1
    folder.rename(path)
