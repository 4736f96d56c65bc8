"""Probe tasks: labelled clips with their splits, and how the classifier is trained."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from mscol_cli.contracts.options import option
from mscol_cli.errors import MissingDataError

Split = Literal["train", "valid", "test"]


@dataclass(frozen=True)
class TaskItem:
    """One labelled clip.

    Attributes:
        id: Unique name within the task.
        path: The audio file.
        split: Split of the clip.
        labels: Rows of `TaskData.classes`; exactly one unless the task is multi-label.
        groups: Groups of clips that resemble one another, by kind, as in `{"artist": "Bach",
            "song": "17"}`; an unknown one is absent or empty. Intervals draw whole groups of the
            kind with the fewest groups, and the report counts groups that test clips share with
            training clips.
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
        items: Clips with audio.
        missing: Clips in the metadata without audio, counted in the report.
        notes: Lines for the report, such as that a class has no test clips.
        failures: Names of what could not be read, such as a folder without permission, and the
            reasons. They are printed and reported; the exit code is 3.
        test_sets: Ids of items by test set, if the literature scores the test split in several
            ways; all are reported. If empty, the test split is one set.
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

    The first two belong to the task; users may set the others with `--protocol KEY=VALUE`.

    Attributes:
        multilabel: Sigmoids and binary cross-entropy, instead of softmax and cross-entropy.
        metrics: Metrics reported on the test split, the main one first: `accuracy`,
            `macro_f1`, `roc_auc` or `average_precision` (the last two macro-averaged).
    """

    multilabel: bool = False
    metrics: tuple[str, ...] = field(default=("accuracy", "macro_f1"))
    select: str = option(
        "accuracy",
        "metric that chooses the epoch on the validation split: accuracy, macro_f1, roc_auc,"
        " average_precision or binary_accuracy",
    )
    classifier: str = option(
        "published",
        "published: trained on mini-batches; linear or mlp: trained on all windows at once, the"
        " weight decay chosen on validation (learning_rate to patience are not used)",
        choices=("published", "linear", "mlp"),
    )
    hidden: int = option(0, "units of the hidden layer; 0 for a linear classifier", minimum=0)
    learning_rate: float = option(5e-4, "learning rate of Adam", minimum=1e-8, maximum=1.0)
    batch_size: int = option(128, "windows per update", minimum=1)
    epochs: int = option(50, "maximum number of epochs", minimum=1)
    patience: int = option(
        5, "stop after this many epochs without a better validation score", minimum=1
    )
    crops: str = option(
        "windows",
        "train and validate on every window of a clip, embedded once; or, as published, on one"
        " random crop per segment, embedded in each epoch",
        choices=("windows", "random"),
    )
    last_offset: bool = option(
        True, "with random crops: a crop may end where its segment ends; published: false"
    )
    block: int = option(
        0,
        "windows per epoch are a multiple of this, the rest is dropped; 0 uses all windows",
        minimum=0,
    )
    standardise: bool = option(
        True, "scale each dimension to mean 0 and variance 1 over the training windows"
    )
    finetune: bool = option(
        False,
        "train the encoder, too, after the classifier of the frozen one; one seed by default",
    )
    encoder_learning_rate: float = option(
        1e-4, "learning rate of the encoder with finetune", minimum=1e-8, maximum=1.0
    )
    encoder_noise: bool = option(
        False, "with random crops: keep stochastic depth on while the classifier is trained"
    )


class Task(ABC):
    """Base class of probe tasks."""

    protocol: ProbeProtocol = ProbeProtocol()

    def __init__(self, options: object = None) -> None:
        """Take what `build` is called with. A part that uses its options overrides this."""
        super().__init__()

    @abstractmethod
    def load(self, folder: Path) -> TaskData:
        """Read the data set's own metadata under `folder`.

        Raises:
            MissingDataError: The metadata or all audio is missing; the message names the file that
                was looked for.
            BadInputError: A file of the data set is damaged; the message names it.
            UsageError: The options do not suit the data set.
        """


Query = Literal["rest", "stem"]
Candidates = Literal["all", "source"]
Similarity = Literal["cosine", "learned"]


class StemRetrieval(Task):
    """Base class of tasks without labels: find the stem that belongs to other stems of its track.

    The data is a store with sources. Clip embeddings of the frozen encoder are compared; no
    classifier is trained.

    Attributes:
        query: What is given: `rest`, the mixture of all other sources of a track, or `stem`, each
            of them on its own.
        candidates: What is searched: `all` stems of all tracks, or those of the same `source`.
        similarity: `cosine` of clip embeddings, or what the objective of the run has `learned`.
    """

    protocol = ProbeProtocol(
        metrics=("recall_at_1", "recall_at_5", "recall_at_10", "median_rank"), select="recall_at_1"
    )
    query: Query = "rest"
    candidates: Candidates = "all"
    similarity: Similarity = "cosine"

    def load(self, folder: Path) -> TaskData:
        """Raise MissingDataError: stems have no labels and no splits."""
        raise MissingDataError(f"{folder}: stem retrieval has no labelled clips; use another task.")
