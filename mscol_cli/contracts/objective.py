"""A pretext task: where to cut, how to look, what to minimise. It never touches files."""

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
    """What an objective is told when it is built.

    Attributes:
        embedding_dim: Size of the encoder's output.
        crop_samples: Length in samples of the crop the encoder takes.
        start_grid: Crops start at multiples of this many samples (the front end's hop).
        sample_rate: Hz of the waveforms.
    """

    embedding_dim: int
    crop_samples: int
    start_grid: int
    sample_rate: int = 16_000


class Objective(nn.Module, ABC):
    """Base class of every objective.

    Every random choice belongs in `plan`, whose generator depends on seed and step alone: the
    same update is made whether one process works on it or sixty-four, before or after a resume.
    An objective always sees the whole batch: crops are shared out among processes after `plan`,
    and embeddings, or what `project` makes of them, are gathered, with their gradients, before
    `loss`.

    An objective owns what is thrown away after pre-training: projection head and similarity.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        """As of any module. Raises TypeError where a part would hide behind a method's name."""
        # torch finds the method first: `self.project(rows)` would be the method, without a word.
        if isinstance(value, nn.Module) and callable(getattr(Objective, name, None)):
            raise TypeError(f"'{name}' is a method of every objective: call this part otherwise.")
        super().__setattr__(name, value)

    def check(self, index: StoreIndex, batch_size: int) -> list[str]:
        """Look at a store before the first update.

        Returns:
            One line for each thing the user should know (segments repeated in a batch, say).

        Raises:
            UsageError: With one line that says what to change, when `plan` could not serve.
        """
        return []

    @abstractmethod
    def plan(self, index: StoreIndex, rng: np.random.Generator, batch_size: int) -> CropPlan:
        """Choose the crops of one update, and draw every random parameter as a row label."""

    def augment_waveforms(
        self, views: Mapping[str, Tensor], labels: Mapping[str, Tensor]
    ) -> Mapping[str, Tensor]:
        """Change waveforms before the front end.

        Args:
            views: By view name, (batch, samples) float32 at the encoder's sample rate and level.
            labels: The plan's labels as tensors, rows aligned with the views.
        """
        return views

    def augment_features(
        self, views: Mapping[str, Tensor], labels: Mapping[str, Tensor]
    ) -> Mapping[str, Tensor]:
        """Change features after the front end, such as (batch, frames, mel bands) log-mel."""
        return views

    def project(self, embeddings: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """What `loss` needs of embeddings, made where they are, so that less is sent.

        Each process calls it with its own rows, so each row of the result may depend on the same
        row of the embeddings only: no normalisation over the batch, no random choice.

        Args:
            embeddings: By view name, (rows, embedding_dim).

        Returns:
            By name, (rows, ...): what is gathered, with gradients, and given to `loss`. Unless
            overridden, the embeddings.
        """
        return embeddings

    @abstractmethod
    def loss(
        self, embeddings: Mapping[str, Tensor], labels: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """What to minimise.

        Args:
            embeddings: What `project` returned, of the whole batch: unless it is overridden, by
                view name, (batch, embedding_dim).
            labels: The plan's labels of the whole batch.

        Returns:
            The loss, a scalar; and scalar tensors to watch, by name. Their means go to the run's
            metrics.jsonl. NaN means that this update has no such value: the mean is over the
            updates that have one, and a line without any leaves the name out. Names of one kind
            share what stands before a slash, such as `accuracy/vocals`. `pretrain` stops with an
            error if a name is one that the trainer writes there: `step`, `loss`,
            `learning_rate`, `pairs_per_second`, `data_wait`, `gradient_norm`, `alignment`,
            `uniformity`, `effective_rank`, `memory_bytes`, `elapsed_s`, or any that begins with
            `probe/`.
        """


class Augmentation(nn.Module):
    """A change of crops under which any objective can be trained, as in `--objective msa+mws`.

    It may change each view or only some, and never which crops are cut nor what is minimised.
    """

    def draw(self, plan: CropPlan, rng: np.random.Generator) -> Mapping[str, NDArray[Any]]:
        """Draw every random parameter of one update.

        Args:
            plan: The crops, and the labels of the objective.
            rng: Depends on seed and step alone.

        Returns:
            Arrays by name whose first axis is the batch; the other methods get them as `labels`,
            and get no others.
        """
        return {}

    def augment_waveforms(
        self, views: Mapping[str, Tensor], labels: Mapping[str, Tensor]
    ) -> Mapping[str, Tensor]:
        """Change waveforms before the front end; arguments as for an objective."""
        return views

    def augment_features(
        self, views: Mapping[str, Tensor], labels: Mapping[str, Tensor]
    ) -> Mapping[str, Tensor]:
        """Change features after the front end, such as (batch, frames, mel bands) log-mel."""
        return views
