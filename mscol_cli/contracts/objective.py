"""Objectives: pretext tasks, which choose crops, augment them and compute a loss."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from mscol_cli.contracts.plans import CropPlan, StoreIndex


@dataclass(frozen=True)
class ObjectiveContext:
    """Arguments for building an objective.

    Attributes:
        embedding_dim: Size of the encoder's output.
        crop_samples: Length in samples of the encoder's crops.
        start_grid: The front end's hop in samples. The bundled objectives start crops at multiples
            of it within a segment, as the published code does; others may start anywhere.
        sample_rate: Hz of the waveforms.
    """

    embedding_dim: int
    crop_samples: int
    start_grid: int
    sample_rate: int = 16_000


class Objective(nn.Module, ABC):
    """Base class of objectives.

    All random choices belong in `plan`, whose generator depends on seed and step only: an update is
    the same in one process or 64, before or after a resume. An objective always sees the global
    batch: crops are divided among processes after `plan`, and embeddings, or the projections that
    `project` returns, are gathered with gradients before `loss`.

    Projection head and similarity belong to the objective; embedding audio does not need them.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute. Raises TypeError for a module with the name of a method."""
        # torch finds the method first: `self.project(rows)` would be the method, without a word.
        if isinstance(value, nn.Module) and callable(getattr(Objective, name, None)):
            raise TypeError(f"'{name}' is a method of every objective: rename this module.")
        super().__setattr__(name, value)

    def check(self, index: StoreIndex, batch_size: int) -> list[str]:
        """Check a store before the first update.

        Returns:
            One line for each warning, such as that segments repeat within a batch.

        Raises:
            UsageError: `plan` cannot work with this store; the message says what to change.
        """
        return []

    @abstractmethod
    def plan(self, index: StoreIndex, rng: np.random.Generator, batch_size: int) -> CropPlan:
        """Choose the crops of one update, and draw all random parameters as row labels.

        It is called in threads, several updates ahead and concurrently: keep no state between
        calls, and draw every random number from `rng`.

        Args:
            index: Tracks, sources and segments of the store.
            rng: Generator that depends on seed and step only.
            batch_size: Rows of the global batch.

        Returns:
            The crops of each view, and the labels, `batch_size` rows of each.

        Raises:
            UsageError: In the trial before a run, the options do not suit the views.
        """

    def augment_waveforms(
        self, views: Mapping[str, Tensor], labels: Mapping[str, Tensor]
    ) -> Mapping[str, Tensor]:
        """Change waveforms before the front end.

        Args:
            views: By view name, (batch, samples) float32 at the encoder's sample rate and level.
            labels: The plan's labels as tensors, rows aligned with the views.

        Returns:
            By view name, (batch, samples) float32 for the front end. By default, `views`.
        """
        return views

    def augment_features(
        self, views: Mapping[str, Tensor], labels: Mapping[str, Tensor]
    ) -> Mapping[str, Tensor]:
        """Change features after the front end.

        Args:
            views: By view name, the output of `Encoder.frontend`, float32, such as (batch, frames,
                mel bands) log-mel.
            labels: The plan's labels as tensors, rows aligned with the views.

        Returns:
            By view name, float32 features for `Encoder.forward`. By default, `views`.

        Raises:
            UsageError: In the trial before a run, the features of this encoder do not suit.
        """
        return views

    def project(self, embeddings: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Project embeddings before they are gathered, so that less is communicated.

        Each process calls this with its own rows. Each row of the result may depend on the same row
        of the embeddings only: no normalisation over the batch, no random choice.

        Args:
            embeddings: By view name, (rows, embedding_dim).

        Returns:
            By name, (rows, ...), gathered with gradients for `loss`. By default, the embeddings.
        """
        return embeddings

    def similarity_vectors(self, embeddings: Tensor) -> tuple[Tensor, Tensor]:
        """Vectors whose inner products are the similarities that this objective has learned.

        Stem retrieval uses them with `similarity=learned`. An objective that does not override this
        method has none.

        Args:
            embeddings: (rows, embedding_dim).

        Returns:
            Vectors of the rows as anchors (rows, n) and as positives (rows, n).
        """
        raise NotImplementedError

    @abstractmethod
    def loss(
        self, embeddings: Mapping[str, Tensor], labels: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the loss.

        Args:
            embeddings: Output of `project` for the global batch; by default, (batch, embedding_dim)
                by view name.
            labels: The plan's labels of the global batch.

        Returns:
            The loss, a scalar; and metrics, scalar tensors by name. Their means are written to the
            run's metrics.jsonl. NaN, or a name that is missing, means that an update has no such
            value; it is excluded from the mean. Metrics of one kind share a prefix, such as
            `accuracy/vocals`. `pretrain` stops with an error if a name is one that the trainer
            writes: `step`, `loss`, `learning_rate`, `pairs_per_second`, `data_wait`,
            `gradient_norm`, `alignment`, `uniformity`, `effective_rank`, `memory_bytes`,
            `elapsed_s`, or any that begins with `probe/`.
        """


class Augmentation(nn.Module):
    """A change of crops that any objective can be trained with, as in `--objective msa+mws`.

    It may change all views or some, and the sources that crops are mixed of, but not their tracks,
    their positions or the loss.
    """

    def mix(self, plan: CropPlan, index: StoreIndex, rng: np.random.Generator) -> CropPlan:
        """Change the gains of sources in the crops, before they are cut; by default none.

        Args:
            plan: The crops and labels of the objective.
            index: Index of the store.
            rng: Generator that depends on seed and step only.
        """
        return plan

    def draw(self, plan: CropPlan, rng: np.random.Generator) -> Mapping[str, NDArray[Any]]:
        """Draw all random parameters of one update.

        Args:
            plan: The crops, and the labels of the objective.
            rng: Generator that depends on seed and step only.

        Returns:
            (batch, ...) arrays by name: the `labels` of the other methods.
        """
        return {}

    def augment_waveforms(
        self, views: Mapping[str, Tensor], labels: Mapping[str, Tensor]
    ) -> Mapping[str, Tensor]:
        """Change waveforms before the front end; see `Objective.augment_waveforms`."""
        return views

    def augment_features(
        self, views: Mapping[str, Tensor], labels: Mapping[str, Tensor]
    ) -> Mapping[str, Tensor]:
        """Change features after the front end; see `Objective.augment_features`."""
        return views
