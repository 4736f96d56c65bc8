"""Scores of the test clips of a probe, and their file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open

from mscol_cli.contracts.plans import IntArray
from mscol_cli.errors import MissingDataError, UsageError
from mscol_cli.probe.bootstrap import Resampled, resample
from mscol_cli.probe.groups import UNGROUPED, ClipGroups
from mscol_cli.probe.metrics import METRICS, find_metric, scored_classes
from mscol_cli.probe.rank_metrics import COLUMNS, with_ties
from mscol_cli.probe.windows import BoolArray, FloatArray
from mscol_cli.system.files import write_atomically
from mscol_cli.system.json_files import INVALID
from mscol_cli.system.tensors import save_tensors

LAYOUT = "mscol-clip-scores 1"


@dataclass(frozen=True)
class ClipScores:
    """Scores of the test clips of a probe.

    Attributes:
        ids: Ids of the test clips.
        classes: Names of the classes, in label order.
        scores: (seeds, clips, classes) scores.
        targets: (clips, classes) labels.
        members: Masks (clips,) by test set.
        resampled: Resampled metrics, by test set and metric.
        groups: Groups of the clips that resamples draw.
    """

    ids: Sequence[str]
    classes: Sequence[str]
    scores: FloatArray
    targets: BoolArray
    members: Mapping[str, BoolArray]
    resampled: Mapping[tuple[str, str], Resampled]
    groups: ClipGroups = UNGROUPED

    def rows_of(self, test_set: str) -> dict[str, int]:
        """Rows of the clips of a test set, by id."""
        return {self.ids[row]: row for row in np.flatnonzero(self.members[test_set]).tolist()}


def write_scores(path: Path, clip_scores: ClipScores) -> None:
    """Write scores atomically. Raises OSError."""
    keys = list(clip_scores.resampled)
    tensors = {
        "scores": torch.from_numpy(np.ascontiguousarray(clip_scores.scores)),
        "targets": torch.from_numpy(clip_scores.targets.astype(np.uint8)),
        "members": torch.from_numpy(np.stack(list(clip_scores.members.values())).astype(np.uint8)),
        "draws": torch.from_numpy(np.stack([clip_scores.resampled[key].draws for key in keys])),
        "values": torch.tensor(
            [clip_scores.resampled[key].value for key in keys], dtype=torch.float64
        ),
    }
    names = {
        "ids": list(clip_scores.ids),
        "classes": list(clip_scores.classes),
        "sets": list(clip_scores.members),
        "groups": list(clip_scores.groups.names),
        "grouped_by": clip_scores.groups.kind,
    }
    metadata = {"layout": LAYOUT, "names": json.dumps({**names, "resampled": keys})}
    write_atomically(path, lambda temporary: save_tensors(temporary, tensors, metadata))


def read_scores(path: Path) -> ClipScores:
    """Read the file of `write_scores`.

    Raises:
        MissingDataError: The file does not exist.
        UsageError: The file is damaged.
    """
    if not path.is_file():
        raise MissingDataError(f"{path} does not exist: run the probe again to compare its result.")
    try:
        return _read(path)
    except (OSError, SafetensorError, *INVALID) as error:
        raise UsageError(f"{path} is damaged ({error}): run the probe again.") from error


def resampled_pair(
    first: ClipScores, second: ClipScores, test_set: str, metric: str
) -> tuple[Resampled, Resampled, int]:
    """Resample a metric of two models on the same clips; returns both and the number of clips.

    Clips that only one of the models was tested on are left out.

    Raises:
        UsageError: The models were tested on different classes or labels, or share no clips.
    """
    first_rows, second_rows = first.rows_of(test_set), second.rows_of(test_set)
    common = [clip for clip in first_rows if clip in second_rows]
    rows = [first_rows[clip] for clip in common]
    other_rows = [second_rows[clip] for clip in common]
    targets = first.targets[rows]
    if not common or list(first.classes) != list(second.classes):
        raise UsageError("they were tested on other classes or clips: probe both on one data set.")
    if not np.array_equal(targets, second.targets[other_rows]):
        raise UsageError("their test clips have other labels: probe both on one data set.")
    if not METRICS[metric].retrieval and not scored_classes(targets).any():
        raise UsageError("their common test clips have no class with positives and negatives.")
    stored = first.resampled[test_set, metric], second.resampled[test_set, metric]
    same_draws = first.groups == second.groups and len(stored[0].draws) == len(stored[1].draws)
    if same_draws and list(first_rows) == list(second_rows):
        return *stored, len(common)
    groups = common_groups([(first, rows), (second, other_rows)])
    return (
        resample(metric, first.scores[:, rows], targets, groups),
        resample(metric, second.scores[:, other_rows], targets, groups),
        len(common),
    )


def common_groups(models: Iterable[tuple[ClipScores, Sequence[int]]]) -> IntArray | None:
    """Numbers of the groups of clips that several models were tested on, from the first model that
    has groups: results from before groups were drawn have none.

    Args:
        models: Scores of each model, and the rows of the clips.
    """
    numbers = (scores.groups.numbers(rows) for scores, rows in models)
    return next((found for found in numbers if found is not None), None)


def _read(path: Path) -> ClipScores:
    with safe_open(path, framework="pt") as file:
        tensors = {key: file.get_tensor(key).numpy() for key in file.keys()}  # noqa: SIM118
        names = json.loads((file.metadata() or {})["names"])
    scores, targets, members = tensors["scores"], tensors["targets"], tensors["members"]
    if scores.shape[1:] != targets.shape or members.shape[1] != len(names["ids"]):
        raise ValueError("the shapes of its arrays do not match")
    classes = names["classes"]
    if classes == list(COLUMNS[:-1]):
        classes, scores, targets = list(COLUMNS), with_ties(scores), with_ties(targets)
    groups = _groups(names)
    sets = dict(zip(names["sets"], members.astype(bool), strict=True))
    units = {name: _units(rows, groups) for name, rows in sets.items()}
    drawn = zip(tensors["values"].tolist(), tensors["draws"], strict=True)
    return ClipScores(
        ids=names["ids"],
        classes=classes,
        scores=scores,
        targets=targets.astype(bool),
        members=sets,
        resampled={
            (test_set, metric): Resampled(
                value, draws, units[test_set], find_metric(metric).proportion
            )
            for (test_set, metric), (value, draws) in zip(names["resampled"], drawn, strict=True)
        },
        groups=groups,
    )


def _groups(names: Mapping[str, Any]) -> ClipGroups:
    kind, groups = names.get("grouped_by", ""), names.get("groups", [])
    known = (
        isinstance(kind, str) and isinstance(groups, list) and len(groups) in (0, len(names["ids"]))
    )
    if not known or not all(isinstance(name, str) for name in groups):
        raise ValueError("its groups are not names of groups, one per clip")
    return ClipGroups(kind, tuple(groups))


def _units(rows: BoolArray, groups: ClipGroups) -> int:
    return groups.count(np.flatnonzero(rows).tolist()) or int(rows.sum())
