"""The online probe of `pretrain --probe-every`: nearest neighbours on a few labelled clips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mscol_cli.contracts.encoder import Encoder
from mscol_cli.contracts.progress import Progress
from mscol_cli.contracts.task import Split, Task, TaskData, TaskItem
from mscol_cli.errors import MissingDataError, UsageError
from mscol_cli.host import Registry, find_part
from mscol_cli.host.checks.task import load_task
from mscol_cli.pretrain.held_clips import HeldClips, hold_clips
from mscol_cli.probe.clips import clip_targets
from mscol_cli.probe.metrics import METRICS, scored_classes
from mscol_cli.probe.tasks import build_task, task_and_folder
from mscol_cli.probe.windows import BoolArray, FloatArray
from mscol_cli.system import distributed

RECORD = "online_probe"
MAX_CLIPS: Mapping[Split, int] = {"train": 1_000, "valid": 500}
"""Maximum number of references and of queries."""
CROPS = 3
NEIGHBOURS = 10
SEED = 0


@dataclass(frozen=True)
class NeighbourProbe:
    """Scores an encoder by the neighbours of validation clips among training clips.

    Attributes:
        task: Name of the task.
        every: Number of updates between two scores.
        metric: `accuracy`, or `average_precision` for a multi-label task.
        train: References.
        valid: Queries.
        labels: (references, classes) bool.
        targets: (queries, classes) bool.
    """

    task: str
    every: int
    metric: str
    train: HeldClips
    valid: HeldClips
    labels: BoolArray
    targets: BoolArray

    def score(self, encoder: Encoder, device: torch.device) -> float:
        """The metric on validation clips."""
        references, queries = (part.embed(encoder, device) for part in (self.train, self.valid))
        votes = neighbour_votes(queries, references, self.labels, NEIGHBOURS)
        return METRICS[self.metric].score(votes, self.targets)


@dataclass(frozen=True)
class RemoteProbe:
    """The online probe in processes other than the first, which computes the scores."""

    task: str
    every: int

    def score(self, encoder: Encoder, device: torch.device) -> None:
        """Return None: the first process computes the score."""


def describe_online(probe_every: tuple[int, str] | None, registry: Registry) -> dict[str, Any]:
    """The entry of an online probe in run.json; empty without a probe.

    Args:
        probe_every: Number of updates between two scores, and TASK or TASK=DIR.
        registry: The installed plugins.

    Raises:
        UsageError: The task or the number is invalid.
        MissingDataError: The data is missing.
    """
    if probe_every is None:
        return {}
    every, text = probe_every
    if every < 1:
        raise UsageError(f"--probe-every {every}: the number of updates must be at least 1.")
    name, folder = task_and_folder(text)
    root = folder.resolve()
    task, data = _load(name, root, registry)
    for split in MAX_CLIPS:
        if not _of_split(data, split):
            raise MissingDataError(
                f"'{name}' in {root} has no {split} clip: --probe-every needs at least one."
            )
    metric = "average_precision" if task.protocol.multilabel else "accuracy"
    return {RECORD: {"every": every, "task": name, "data": str(root), "metric": metric}}


def online_probe(
    info: Mapping[str, Any], encoder: Encoder, registry: Registry, progress: Progress
) -> NeighbourProbe | RemoteProbe | None:
    """Build the online probe of a run and decode its clips; None for a run without one.

    Raises:
        MissingDataError: The data is missing, or none of its clips can be used.
    """
    record = info.get(RECORD)
    if record is None:
        return None
    if distributed.rank() != 0:
        return RemoteProbe(record["task"], record["every"])
    _, data = _load(record["task"], Path(record["data"]), registry)
    splits: list[tuple[HeldClips, BoolArray]] = []
    for split, max_clips in MAX_CLIPS.items():
        items = _subset(_of_split(data, split), max_clips)
        progress.begin(f"online probe: {split}", len(items), "clip")
        clips = hold_clips([item.path for item in items], encoder, CROPS, progress)
        progress.end()
        targets = clip_targets([items[row] for row in clips.kept], len(data.classes))
        _check(record, split, targets, len(items), progress)
        splits.append((clips, targets))
    (train, labels), (valid, targets) = splits
    return NeighbourProbe(
        record["task"], record["every"], record["metric"], train, valid, labels, targets
    )


def _load(name: str, root: Path, registry: Registry) -> tuple[Task, TaskData]:
    task = build_task(find_part(registry, "task", name))
    if not root.is_dir():
        raise MissingDataError(
            f"{root} is not a folder: put the data of '{name}' there, or give its folder with"
            f" --probe-every N {name}=DIR."
        )
    return task, load_task(task, root)


def _of_split(data: TaskData, split: Split) -> list[TaskItem]:
    return [item for item in data.items if item.split == split]


def _subset(items: Sequence[TaskItem], count: int) -> list[TaskItem]:
    """Draw the same clips in every run, so that scores of runs are comparable."""
    drawn = np.random.default_rng(SEED).permutation(len(items))[:count]
    return [items[row] for row in np.sort(drawn)]


def _check(
    record: Mapping[str, Any], split: str, targets: BoolArray, drawn: int, progress: Progress
) -> None:
    where = f"the {split} clips of '{record['task']}' in {record['data']}"
    macro = METRICS[record["metric"]].macro and split == "valid"
    if not len(targets) or (macro and not scored_classes(targets).any()):
        raise MissingDataError(f"none of {where} can be used: --probe-every has nothing to score.")
    if len(targets) < drawn:
        progress.warn(f"online probe: skipped {drawn - len(targets)} of {where}: not readable.")


def neighbour_votes(queries: Tensor, references: Tensor, labels: BoolArray, k: int) -> FloatArray:
    """Votes of the `k` nearest references by cosine similarity, weighted by that similarity.

    The weights of near neighbours hardly differ: they break ties.

    Args:
        queries: (queries, dim) embeddings.
        references: (references, dim) embeddings.
        labels: (references, classes) bool.
        k: Number of neighbours; at most all references are used.

    Returns:
        (queries, classes) float64 from 0 to 1.
    """
    cosines = F.normalize(queries.double()) @ F.normalize(references.double()).T
    nearest = torch.topk(cosines, min(k, len(references)), dim=1)
    weights = (1 + nearest.values.numpy()[:, :, None]) / 2
    votes: FloatArray = np.mean(weights * labels[nearest.indices.numpy()], axis=1)
    return votes
