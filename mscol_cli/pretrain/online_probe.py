"""`pretrain --probe-every`: a vote of nearest neighbours on a few labelled clips."""

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
MOST: Mapping[Split, int] = {"train": 1_000, "valid": 500}
"""Clips that are kept: references, and queries."""
CROPS = 3
NEIGHBOURS = 10
SEED = 0


@dataclass(frozen=True)
class NeighbourProbe:
    """Scores an encoder by the neighbours of validation clips among training clips.

    Attributes:
        task: Name of the task.
        every: Updates between two scores.
        metric: `accuracy`, or `average_precision` for a task with several labels a clip.
        train: References.
        valid: Queries.
        labels: (references, classes).
        targets: (queries, classes).
    """

    task: str
    every: int
    metric: str
    train: HeldClips
    valid: HeldClips
    labels: BoolArray
    targets: BoolArray

    def score(self, encoder: Encoder, device: torch.device) -> float:
        """The metric, on validation clips."""
        references, queries = (part.embed(encoder, device) for part in (self.train, self.valid))
        votes = neighbour_votes(queries, references, self.labels, NEIGHBOURS)
        return METRICS[self.metric].score(votes, self.targets)


@dataclass(frozen=True)
class RemoteProbe:
    """What a process knows of the probe that the first one makes, and writes down."""

    task: str
    every: int

    def score(self, encoder: Encoder, device: torch.device) -> None:
        """Left to the first process."""


def describe_online(asked: tuple[int, str] | None, registry: Registry) -> dict[str, Any]:
    """What run.json says of an online probe; nothing where none is asked for.

    Args:
        asked: Updates between two scores, and TASK or TASK=DIR.
        registry: What is installed.

    Raises:
        UsageError: No such task, or a number that cannot be used.
        MissingDataError: Its data is not there.
    """
    if asked is None:
        return {}
    every, text = asked
    if every < 1:
        raise UsageError(f"--probe-every {every}: the number of updates must be at least 1.")
    name, folder = task_and_folder(text)
    root = folder.resolve()
    task, data = _load(name, root, registry)
    for split in MOST:
        if not _of_split(data, split):
            raise MissingDataError(
                f"'{name}' in {root} has no {split} clip: --probe-every needs some."
            )
    metric = "average_precision" if task.protocol.multilabel else "accuracy"
    return {RECORD: {"every": every, "task": name, "data": str(root), "metric": metric}}


def online_probe(
    info: Mapping[str, Any], encoder: Encoder, registry: Registry, progress: Progress
) -> NeighbourProbe | RemoteProbe | None:
    """The online probe of a run, its clips decoded; None where it has none.

    Raises:
        MissingDataError: The data is gone, or none of its clips can be used.
    """
    asked = info.get(RECORD)
    if asked is None:
        return None
    if distributed.rank() != 0:
        return RemoteProbe(asked["task"], asked["every"])
    root = Path(asked["data"])
    _, data = _load(asked["task"], root, registry)
    held: dict[str, tuple[HeldClips, BoolArray]] = {}
    for split, most in MOST.items():
        items = _subset(_of_split(data, split), most)
        progress.begin(f"online probe: {split}", len(items), "clip")
        clips = hold_clips([item.path for item in items], encoder, CROPS, progress)
        progress.end()
        targets = clip_targets([items[row] for row in clips.kept], len(data.classes))
        _check(asked, split, targets, len(items), progress)
        held[split] = clips, targets
    (train, labels), (valid, valid_targets) = held["train"], held["valid"]
    return NeighbourProbe(
        asked["task"], asked["every"], asked["metric"], train, valid, labels, valid_targets
    )


def _load(name: str, root: Path, registry: Registry) -> tuple[Task, TaskData]:
    task = build_task(find_part(registry, "task", name))
    if not root.is_dir():
        raise MissingDataError(
            f"{root} is no folder: put the data of '{name}' there, or name it,"
            f" --probe-every N {name}=DIR."
        )
    return task, load_task(task, root)


def _of_split(data: TaskData, split: Split) -> list[TaskItem]:
    return [item for item in data.items if item.split == split]


def _subset(items: Sequence[TaskItem], most: int) -> list[TaskItem]:
    """The same clips in every run: scores of different runs are to be compared."""
    drawn = np.random.default_rng(SEED).permutation(len(items))[:most]
    return [items[row] for row in np.sort(drawn)]


def _check(
    asked: Mapping[str, Any], split: str, targets: BoolArray, chosen: int, progress: Progress
) -> None:
    where = f"the {split} clips of '{asked['task']}' in {asked['data']}"
    macro = METRICS[asked["metric"]].macro and split == "valid"
    if not len(targets) or (macro and not scored_classes(targets).any()):
        raise MissingDataError(f"none of {where} can be used: --probe-every has nothing to score.")
    if len(targets) < chosen:
        progress.warn(f"online probe: {chosen - len(targets)} of {where} are left out: unreadable.")


def neighbour_votes(queries: Tensor, references: Tensor, labels: BoolArray, k: int) -> FloatArray:
    """Votes of the `k` references that are nearest by cosine, each weighted by how near it is.

    Weights hardly differ among near neighbours: they decide where votes are equal.

    Args:
        queries: (queries, dim) embeddings.
        references: (references, dim) embeddings.
        labels: (references, classes).
        k: Neighbours asked; at most all references.

    Returns:
        (queries, classes), from 0 to 1.
    """
    cosines = F.normalize(queries.double()) @ F.normalize(references.double()).T
    nearest = torch.topk(cosines, min(k, len(references)), dim=1)
    weights = (1 + nearest.values.numpy()[:, :, None]) / 2
    votes: FloatArray = np.mean(weights * labels[nearest.indices.numpy()], axis=1)
    return votes
