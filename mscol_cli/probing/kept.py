"""Scores of every test clip, kept beside a report so that models can be compared later."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from mscol_cli.errors import MissingDataError, UsageError
from mscol_cli.files import write_atomically
from mscol_cli.probing.bootstrap import Resampled, resample
from mscol_cli.probing.clips import BoolArray, FloatArray
from mscol_cli.probing.metrics import scored_classes

LAYOUT = "mscol-clip-scores 1"


@dataclass(frozen=True)
class ClipScores:
    """What the classifiers of a probe said of its test clips.

    Attributes:
        ids: Of the test clips.
        classes: Names, in label order.
        scores: (seeds, clips, classes).
        targets: (clips, classes).
        members: By test set, (clips,) which clips are in it.
        resampled: By test set and metric, the score on drawn clips.
    """

    ids: Sequence[str]
    classes: Sequence[str]
    scores: FloatArray
    targets: BoolArray
    members: Mapping[str, BoolArray]
    resampled: Mapping[tuple[str, str], Resampled]

    def rows_of(self, test_set: str) -> dict[str, int]:
        """The rows of a test set's clips, by id."""
        return {self.ids[row]: row for row in np.flatnonzero(self.members[test_set]).tolist()}


def write_scores(path: Path, kept: ClipScores) -> None:
    """Write scores, whole or not at all. Raises OSError."""
    keys = list(kept.resampled)
    tensors = {
        "scores": torch.from_numpy(np.ascontiguousarray(kept.scores)),
        "targets": torch.from_numpy(kept.targets.astype(np.uint8)),
        "members": torch.from_numpy(np.stack(list(kept.members.values())).astype(np.uint8)),
        "draws": torch.from_numpy(np.stack([kept.resampled[key].draws for key in keys])),
        "values": torch.tensor([kept.resampled[key].value for key in keys], dtype=torch.float64),
    }
    names = {"ids": list(kept.ids), "classes": list(kept.classes), "sets": list(kept.members)}
    metadata = {"layout": LAYOUT, "names": json.dumps({**names, "resampled": keys})}
    write_atomically(path, lambda temporary: save_file(tensors, temporary, metadata))


def read_scores(path: Path) -> ClipScores:
    """Read what `write_scores` wrote.

    Raises:
        MissingDataError: It is not there.
        UsageError: It is damaged.
    """
    if not path.is_file():
        raise MissingDataError(f"{path} is not there: run the probe again to compare its result.")
    try:
        return _read(path)
    except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
        raise UsageError(f"{path} is damaged ({error}): run the probe again.") from error


def resampled_pair(
    first: ClipScores, second: ClipScores, test_set: str, metric: str
) -> tuple[Resampled, Resampled, int]:
    """Two models' scores on the same drawn clips, and on how many clips.

    Clips that only one model could be tested on are left out of both.

    Raises:
        UsageError: The two were tested on other classes, labels, or no common clips.
    """
    ours, theirs = first.rows_of(test_set), second.rows_of(test_set)
    common = [clip for clip in ours if clip in theirs]
    rows = [ours[clip] for clip in common]
    other_rows = [theirs[clip] for clip in common]
    targets = first.targets[rows]
    if not common or list(first.classes) != list(second.classes):
        raise UsageError("they were tested on other classes or clips: probe both on one data set.")
    if not np.array_equal(targets, second.targets[other_rows]):
        raise UsageError("their test clips have other labels: probe both on one data set.")
    if not scored_classes(targets).any():
        raise UsageError("their common test clips are all alike: no class can be scored.")
    kept = first.resampled[test_set, metric], second.resampled[test_set, metric]
    if list(ours) == list(theirs) and len(kept[0].draws) == len(kept[1].draws):
        return *kept, len(common)
    again = (
        resample(metric, one.scores[:, own], targets)
        for one, own in ((first, rows), (second, other_rows))
    )
    return next(again), next(again), len(common)


def _read(path: Path) -> ClipScores:
    with safe_open(path, framework="pt") as file:
        tensors = {key: file.get_tensor(key).numpy() for key in file.keys()}  # noqa: SIM118
        names = json.loads((file.metadata() or {})["names"])
    scores, targets, members = tensors["scores"], tensors["targets"], tensors["members"]
    if scores.shape[1:] != targets.shape or members.shape[1] != len(names["ids"]):
        raise ValueError("its parts do not fit")
    drawn = zip(tensors["values"].tolist(), tensors["draws"], strict=True)
    return ClipScores(
        ids=names["ids"],
        classes=names["classes"],
        scores=scores,
        targets=targets.astype(bool),
        members=dict(zip(names["sets"], members.astype(bool), strict=True)),
        resampled={
            (test_set, metric): Resampled(value, draws)
            for (test_set, metric), (value, draws) in zip(names["resampled"], drawn, strict=True)
        },
    )
