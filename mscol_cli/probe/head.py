"""What a probe learned: classifier, calibration and thresholds, beside the result of the probe."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from mscol_cli.contracts.encoder import Encoder
from mscol_cli.engine.models import Model
from mscol_cli.errors import MissingDataError, UsageError
from mscol_cli.probe.calibration import Calibration
from mscol_cli.probe.classifier import ShallowClassifier, clip_scores
from mscol_cli.probe.windows import BoolArray, ClipWindows, FloatArray
from mscol_cli.runs.checkpoint import weights_hash
from mscol_cli.runs.layout import CHECKSUMS, ENCODER, RUN, write_run
from mscol_cli.runs.tracks import copy_chosen
from mscol_cli.system.files import file_hash, write_bytes, write_json
from mscol_cli.system.json_files import INVALID, read_json
from mscol_cli.system.tensors import storable
from mscol_cli.system.values import as_json, from_json

RECORD, WEIGHTS = "head.json", "head.safetensors"
FINETUNED = "finetuned"
"""Folder of the fine-tuned encoder, a model folder."""
TRAINING_STATE = ("loss", "scheduled", "meter")
"""Settings of a checkpoint that only pre-training needs."""
STAMP: Mapping[str, Any] = {"format": "mscol-head", "version": 1}


@dataclass(frozen=True)
class HeadModel:
    """The model whose embeddings a head was trained on.

    Attributes:
        name: Name of the model.
        hash: SHA-256 of its weights.
        step: Number of training steps.
        encoder: Name, owner, version and options of its encoder.
        framing: Sample rate in Hz, window and hop in samples, level, and size of a vector.
        folder: Checkpoint folder, relative to the folder of the head; None for a model that
            is found by its name: the bundled one, one of the Hub, an untrained one.
    """

    name: str
    hash: str
    step: int
    encoder: Mapping[str, Any]
    framing: Mapping[str, Any]
    folder: str | None = None


@dataclass(frozen=True)
class HeadRecord:
    """The content of `head.json`.

    Attributes:
        task: Name of the task.
        data: Folder of the data set.
        protocol: Options of the protocol.
        multilabel: Whether a clip may have several classes.
        classes: Names of the classes, in label order.
        seed: Seed of the classifier.
        calibration: Map from clip scores to probabilities.
        thresholds: Probability from which a clip has a class, in label order; empty unless
            multi-label.
        model: The model.
        sha256: Hash of `head.safetensors`.
    """

    task: str
    data: str
    protocol: Mapping[str, Any]
    multilabel: bool
    classes: Sequence[str]
    seed: int
    calibration: Calibration
    thresholds: Sequence[float]
    model: HeadModel
    sha256: str


@dataclass(frozen=True)
class Head:
    """A classifier with its record.

    Attributes:
        record: Content of `head.json`.
        classifier: The classifier, in eval mode.
    """

    record: HeadRecord
    classifier: ShallowClassifier

    def clip_scores(self, clips: ClipWindows) -> FloatArray:
        """(clips, classes) scores of the probe, before calibration."""
        return clip_scores(self.classifier, clips, self.record.multilabel)

    def probabilities(self, clips: ClipWindows) -> FloatArray:
        """(clips, classes) calibrated scores."""
        return self.record.calibration.probabilities(self.clip_scores(clips))

    def clips(self, windows: NDArray[np.float32], counts: Sequence[int]) -> ClipWindows:
        """Clips without labels, of windows (windows, dim) and the number of windows of each."""
        unlabelled = np.zeros((len(counts), len(self.record.classes)), dtype=bool)
        return ClipWindows(torch.from_numpy(windows), np.array(counts, dtype=np.int64), unlabelled)

    def assigned(self, probabilities: FloatArray) -> BoolArray:
        """(clips, classes) the most probable class of each clip or, if multi-label, the classes
        whose probability reaches their threshold."""
        if self.record.multilabel:
            return np.asarray(probabilities >= np.array(self.record.thresholds))
        classes = np.arange(probabilities.shape[1])
        return np.asarray(classes == probabilities.argmax(axis=1)[:, None])


def serialise(module: nn.Module) -> bytes:
    """Parameters and buffers of a module as the content of a safetensors file."""
    state = {name: tensor.cpu() for name, tensor in module.state_dict().items()}
    content: bytes = save(storable(state))
    return content


def content_hash(content: bytes) -> str:
    """SHA-256 of the content of a file."""
    return hashlib.sha256(content).hexdigest()


def framing_of(encoder: Encoder) -> dict[str, Any]:
    """How an encoder cuts and scales audio, and the size of its vectors."""
    return {
        "sample_rate": encoder.sample_rate,
        "window": encoder.crop_samples,
        "hop": encoder.window_hop,
        "level": encoder.level,
        "dim": encoder.dim,
    }


def write_head(folder: Path, head: Head, model: Model, tuned: Encoder | None) -> None:
    """Write a head, and its fine-tuned encoder if there is one.

    Args:
        folder: Folder of the probe's result.
        head: The head.
        model: The model that the probe began with.
        tuned: The fine-tuned encoder.

    Raises:
        OSError: The folder cannot be written.
    """
    # The record is written last, so that it never belongs to other weights.
    (folder / RECORD).unlink(missing_ok=True)
    write_bytes(folder / WEIGHTS, serialise(head.classifier))
    recorded = replace(head.record.model, folder=_relative(model, folder))
    if tuned is not None:
        recorded = _write_tuned(folder / FINETUNED, head.record, model, tuned)
    write_json(folder / RECORD, {**STAMP, **as_json(replace(head.record, model=recorded))})


def read_head(folder: Path) -> Head:
    """Read the head in the folder of a probe's result.

    Raises:
        MissingDataError: The folder has no head.
        UsageError: The head is damaged, or of another version.
    """
    path = folder / RECORD
    if not path.is_file():
        raise MissingDataError(
            f"{folder} has no {RECORD}: save a head with 'mscol probe TASK --save', and name the"
            " folder that it was written to."
        )
    content = read_json(path, "head")
    stamp = {name: content.get(name) for name in STAMP}
    if stamp != STAMP:
        raise UsageError(f"{path} is not a head that this mscol reads: probe again with --save.")
    try:
        record = from_json(HeadRecord, content)
        _check(record)
        weights = (folder / WEIGHTS).read_bytes()
        if content_hash(weights) != record.sha256:
            raise ValueError(f"{WEIGHTS} does not have the recorded hash")
        return Head(record, _classifier(load(weights), len(record.classes)))
    except (OSError, SafetensorError, RuntimeError, *INVALID) as error:
        reason = " ".join(str(error).split())[:300]
        raise UsageError(
            f"the head in {folder} is damaged ({reason}): probe again with --save."
        ) from error


def remove_head(folder: Path) -> None:
    """Remove the head of an earlier result, which would belong to other scores.

    A fine-tuned encoder stays: it is a model of its own.
    """
    for name in (RECORD, WEIGHTS):
        (folder / name).unlink(missing_ok=True)


def _write_tuned(folder: Path, record: HeadRecord, model: Model, tuned: Encoder) -> HeadModel:
    origin = {"task": record.task, "seed": record.seed, "model": model.name, "hash": model.hash}
    # Written last again; probes of an earlier encoder in this folder are kept.
    (folder / RUN).unlink(missing_ok=True)
    weights = folder / f"{ENCODER}.safetensors"
    write_bytes(weights, serialise(tuned))
    if model.run is not None:
        copy_chosen(model.run, folder)
    info = {name: value for name, value in model.info.items() if name not in TRAINING_STATE}
    checksums = {weights.name: file_hash(weights)}
    write_run(folder, {**info, "finetuned": origin, "step": model.step, CHECKSUMS: checksums})
    return replace(record.model, hash=weights_hash(folder), folder=folder.name)


def _relative(model: Model, start: Path) -> str | None:
    """The folder of a user's own model relative to that of a head, so that both can be moved
    together."""
    path = model.folder
    if path is None or model.run is None:
        return None
    try:
        return Path(os.path.relpath(path.resolve(), start.resolve())).as_posix()
    except ValueError:  # another drive
        return path.resolve().as_posix()


def _classifier(tensors: Mapping[str, Tensor], classes: int) -> ShallowClassifier:
    hidden = len(tensors["layers.0.weight"]) if "layers.2.weight" in tensors else 0
    classifier = ShallowClassifier(tensors["mean"], tensors["scale"], hidden, classes)
    classifier.load_state_dict(dict(tensors))
    return classifier.eval()


def _check(record: HeadRecord) -> None:
    """Raise ValueError unless the encoder has a name, and each class finite numbers."""
    calibration, encoder = record.calibration, record.model.encoder
    if not isinstance(encoder["name"], str) or not isinstance(encoder["options"], dict):
        raise ValueError("it names no encoder")
    numbers: list[Sequence[float]] = []
    if record.multilabel:
        numbers = [calibration.slopes, calibration.offsets, record.thresholds]
    elif calibration.temperature is None or not calibration.temperature > 0:
        raise ValueError("it has no temperature")
    if any(
        len(values) != len(record.classes) or not np.isfinite(values).all() for values in numbers
    ):
        raise ValueError("its calibration is not that of its classes")
