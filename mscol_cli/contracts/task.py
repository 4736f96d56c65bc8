"""A probe data set: which clips, which labels, which split; and how its probe is trained."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from mscol_cli.contracts.options import option

Split = Literal["train", "valid", "test"]


@dataclass(frozen=True)
class TaskItem:
    """One labelled clip.

    Attributes:
        id: Unique name within the task.
        path: The audio file.
        split: Where it belongs.
        labels: Rows of `TaskData.classes`; exactly one unless the task is multi-label.
        groups: What the clip shares with others, by kind: `{"artist": "Bach", "song": "17"}`. Those
            of test clips that training clips have too are counted in the report.
    """

    id: str
    path: Path
    split: Split
    labels: tuple[int, ...]
    groups: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class TaskData:
    """A data set as found on disk.

    Attributes:
        classes: Class names, in label order.
        items: The clips whose audio is there.
        missing: Clips the metadata names whose audio is not there: counted in the report.
        notes: Lines the report should carry (a class without test items, say).
        failures: What could not be looked into, such as a folder without permission: its name, and
            why. Named on stderr and in the report; the exit code is 3.
        test_sets: Where the literature scores the test split in more than one way: by name, the
            ids of the items of each, reported side by side. Empty means one set, all of it.
    """

    classes: tuple[str, ...]
    items: Sequence[TaskItem]
    missing: Sequence[str] = ()
    notes: Sequence[str] = ()
    test_sets: Mapping[str, frozenset[str]] = field(default_factory=dict)
    failures: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class ProbeProtocol:
    """How the shallow classifier of a task is trained, chosen and scored.

    The two first are the task's; users may change the others with `--protocol KEY=VALUE`.

    Attributes:
        multilabel: Sigmoids and binary cross-entropy, instead of softmax and cross-entropy.
        metrics: What is reported on the test split, the headline first: `accuracy`,
            `macro_f1`, `roc_auc` or `average_precision` (the last two macro-averaged).
    """

    multilabel: bool = False
    metrics: tuple[str, ...] = field(default=("accuracy", "macro_f1"))
    select: str = option(
        "accuracy",
        "the metric that chooses the epoch on the validation split: accuracy, macro_f1, roc_auc,"
        " average_precision or binary_accuracy",
    )
    classifier: str = option(
        "published",
        "published: trained by mini-batches; linear or mlp: on all windows at once, the weight"
        " decay chosen on validation (learning_rate to patience do not count then)",
        choices=("published", "linear", "mlp"),
    )
    hidden: int = option(0, "units of the one hidden layer; 0 for a linear classifier", minimum=0)
    learning_rate: float = option(5e-4, "of Adam", minimum=1e-8, maximum=1.0)
    batch_size: int = option(128, "windows per update", minimum=1)
    epochs: int = option(50, "at most", minimum=1)
    patience: int = option(
        5, "stop after this many epochs without a better validation score", minimum=1
    )
    crops: str = option(
        "windows",
        "train and validate on every window of a clip, embedded once; or, as published, on one"
        " random crop per segment, embedded anew each epoch",
        choices=("windows", "random"),
    )
    last_offset: bool = option(
        True, "with random crops: a crop may end where its segment ends; false as published"
    )
    block: int = option(
        0,
        "an epoch is whole blocks of this many windows, the rest is left out; 0 takes all",
        minimum=0,
    )
    standardise: bool = option(
        True, "bring each dimension to mean 0 and variance 1 over the training windows"
    )
    finetune: bool = option(
        False, "train the encoder too, from the classifier of the frozen one; one seed by default"
    )
    encoder_learning_rate: float = option(
        1e-4, "of the encoder, when it is trained too", minimum=1e-8, maximum=1.0
    )
    encoder_noise: bool = option(
        False, "with random crops: stochastic depth stays on while the classifier is trained"
    )


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
