"""Checkpoints for others: without training state, and without paths of this machine."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from torch import Tensor

from mscol_cli.errors import MscolError
from mscol_cli.runs.checkpoint import Checkpoint, Texts, read_weights, run_of, save_model
from mscol_cli.runs.layout import CHECKSUMS, ENCODER, RUN, STAMP
from mscol_cli.runs.settings import COMPUTE
from mscol_cli.runs.tracks import count_chosen
from mscol_cli.store.header import StoreHeader

DATA = "data"
"""Key of the training music in the settings of a published model."""
_STATE = ("loss", "scheduled", "meter", "machine", COMPUTE, CHECKSUMS, "store", "step", *STAMP)
"""Settings of a checkpoint that only its run needs, or that are written again."""
_FOLDERS = re.compile(
    r"""(?: (?<![^\s=,;'"([{|:]) (?:file:/{2,3}|~?/(?!/)|[A-Za-z]:[\\/])  # home, root or drive
        | (?<![^\s=,;'"([{|]) (?://|\\\\) )  # a host
        (?:[^\s,;'")\]}|]*[\\/])?""",
    re.VERBOSE,
)


def publish(
    checkpoint: Checkpoint,
    folder: Path,
    half: bool = False,
    settings: str = RUN,
    texts: Texts | None = None,
) -> None:
    """Write a checkpoint folder that can be given away: settings and encoder weights.

    Args:
        checkpoint: The checkpoint.
        folder: A new or empty folder.
        half: Store matrices and kernels as float16, which halves the file; vectors of values, such
            as running statistics, keep their range and stay float32.
        settings: Name of the file of settings: `run.json` or `config.json`.
        texts: Makes further files from the folder with the weights: their texts, by name, as in
            `lambda _: {"CARD.md": card}`.

    Raises:
        UsageError: The folder is not empty, or the weights are damaged.
        MissingDataError: The checkpoint has no weights.
    """
    weights = read_weights(checkpoint.folder, ENCODER)
    if half:
        weights = {name: _halved(tensor) for name, tensor in weights.items()}
    info = portable(checkpoint)
    save_model(folder, checkpoint.step, info, {ENCODER: weights}, settings, texts)


def portable(checkpoint: Checkpoint) -> dict[str, Any]:
    """The settings of a checkpoint without training state and without folders of this machine.

    The store is replaced by what is known of its music, under the key `data`.
    """
    info = {name: value for name, value in checkpoint.info.items() if name not in _STATE}
    if "train_split" in info:
        info["train_split"] = str(info["train_split"]).partition("=")[0]
    if DATA not in info and "store" in checkpoint.info:
        info[DATA] = _provenance(run_of(checkpoint.folder), checkpoint.info["store"])
    cleaned: dict[str, Any] = without_folders(info)
    return cleaned


def without_folders(value: Any) -> Any:
    """JSON values with every absolute path reduced to its last part."""
    if isinstance(value, Mapping):
        return {without_folders(str(name)): without_folders(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_folders(item) for item in value]
    if not isinstance(value, str):
        return value
    for kind in (PurePosixPath, PureWindowsPath):
        if kind(value).is_absolute():
            return kind(value).name
    return _FOLDERS.sub("", value)


def _provenance(run: Path, store: Mapping[str, Any]) -> dict[str, Any]:
    """The music of a run; only the hash of its store if the store is missing or has changed."""
    known: dict[str, Any] = {"store_hash": store["hash"]}
    try:
        header = StoreHeader.read(Path(store["path"]))
    except MscolError:
        return known
    if header.hash != store["hash"]:
        return known
    chosen = count_chosen(run)
    return {
        **known,
        "tracks": header.tracks,
        "hours": round(header.hours, 4),
        "trained_tracks": header.tracks if chosen is None else chosen,
        "sources": list(header.sources),
        "separator": asdict(header.separator),
    }


def _halved(tensor: Tensor) -> Tensor:
    return tensor.half() if tensor.ndim > 1 and tensor.is_floating_point() else tensor
