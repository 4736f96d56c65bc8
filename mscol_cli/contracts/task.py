"""A probe data set: which clips, which labels, which split; and how its probe is trained."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Split = Literal["train", "valid", "test"]


@dataclass(frozen=True)
class TaskItem:
    """One labelled clip.

    Attributes:
        id: Unique name within the task.
        path: The audio file.
        split: Where it belongs.
        labels: Rows of `TaskData.classes`; exactly one unless the task is multi-label.
    """

    id: str
    path: Path
    split: Split
    labels: tuple[int, ...]


@dataclass(frozen=True)
class TaskData:
    """A data set as found on disk.

    Attributes:
        classes: Class names, in label order.
        items: The clips whose audio is there.
        missing: Clips the metadata names whose audio is not there: counted in the report.
        notes: Lines the report should carry (a class without test items, a filtered test set).
    """

    classes: tuple[str, ...]
    items: Sequence[TaskItem]
    missing: Sequence[str] = ()
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class ProbeProtocol:
    """How the shallow classifier of a task is trained, chosen and scored.

    Attributes:
        multilabel: Sigmoids and binary cross-entropy, instead of softmax and cross-entropy.
        hidden: Units of the one hidden layer; None for a linear probe.
        learning_rate: Of Adam.
        batch_size: Windows per update.
        epochs: At most.
        patience: Stop after this many epochs without a better validation score.
        select: The metric that chooses the epoch on the validation split.
        metrics: What is reported on the test split, the headline first: `accuracy`,
            `macro_f1`, `roc_auc` or `average_precision` (the last two macro-averaged).
    """

    multilabel: bool = False
    hidden: int | None = None
    learning_rate: float = 5e-4
    batch_size: int = 128
    epochs: int = 50
    patience: int = 5
    select: str = "accuracy"
    metrics: tuple[str, ...] = field(default=("accuracy", "macro_f1"))


class Task(ABC):
    """Base class of every probe task."""

    protocol: ProbeProtocol = ProbeProtocol()

    @abstractmethod
    def load(self, folder: Path) -> TaskData:
        """Read the data set's own metadata under `folder`.

        Raises:
            MissingDataError: When the metadata, or all of the audio, is not there; the message
                names the file that was looked for.
        """
