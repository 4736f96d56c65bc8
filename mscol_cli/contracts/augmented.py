"""Objectives with augmentations: `mws` is COLA with masking, warping and shifting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np
from torch import Tensor, nn

from mscol_cli.contracts.objective import Augmentation, Objective
from mscol_cli.contracts.plans import CropPlan, StoreIndex
from mscol_cli.errors import PluginError

Result = TypeVar("Result")


class Augmented(Objective):
    """An objective with augmentations, which are applied in order.

    The objective's own augmentation comes last, so that values it writes into crops are kept, such
    as the constant for a silent source. Crops, loss and weights are the objective's.
    """

    def __init__(self, objective: Objective, augmentations: Sequence[Augmentation]) -> None:
        super().__init__()
        # A flat list, in which an augmentation's index prefixes its labels.
        inner = objective._all() if isinstance(objective, Augmented) else []
        self.objective: Objective = (
            objective.objective if isinstance(objective, Augmented) else objective
        )
        self.augmentations = nn.ModuleList([*inner, *augmentations])

    def check(self, index: StoreIndex, batch_size: int) -> list[str]:
        """Check the store with the objective."""
        return self.objective.check(index, batch_size)

    def plan(self, index: StoreIndex, rng: np.random.Generator, batch_size: int) -> CropPlan:
        """The objective's plan, mixed by the augmentations, with their parameters added to its
        labels."""
        plan = self.objective.plan(index, rng, batch_size)
        for augmentation in self._all():
            plan = _checked(augmentation.mix(plan, index, rng), CropPlan, augmentation, "mix")
        labels = dict(plan.labels)
        for number, augmentation in enumerate(self._all()):
            drawn = _checked(augmentation.draw(plan, rng), Mapping, augmentation, "draw")
            labels |= {_label(number, name): value for name, value in drawn.items()}
        return CropPlan(plan.views, labels)

    def augment_waveforms(
        self, views: Mapping[str, Tensor], labels: Mapping[str, Tensor]
    ) -> Mapping[str, Tensor]:
        """Apply every augmentation, then the objective's own."""
        for number, augmentation in enumerate(self._all()):
            views = augmentation.augment_waveforms(views, _labels_of(labels, number))
        return self.objective.augment_waveforms(views, labels)

    def augment_features(
        self, views: Mapping[str, Tensor], labels: Mapping[str, Tensor]
    ) -> Mapping[str, Tensor]:
        """Apply every augmentation, then the objective's own."""
        for number, augmentation in enumerate(self._all()):
            views = augmentation.augment_features(views, _labels_of(labels, number))
        return self.objective.augment_features(views, labels)

    def project(self, embeddings: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Project embeddings with the objective."""
        return self.objective.project(embeddings)

    def similarity_vectors(self, embeddings: Tensor) -> tuple[Tensor, Tensor]:
        """Vectors of the objective's similarity."""
        return self.objective.similarity_vectors(embeddings)

    def loss(
        self, embeddings: Mapping[str, Tensor], labels: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss and metrics of the objective."""
        return self.objective.loss(embeddings, labels)

    def _all(self) -> list[Augmentation]:
        return [item for item in self.augmentations if isinstance(item, Augmentation)]


def _checked(result: Result, kind: type[object], augmentation: Augmentation, method: str) -> Result:
    # Later calls with the result would fail in another part.
    if not isinstance(result, kind):
        raise PluginError(
            f"augmentation {type(augmentation).__name__}: {method} returned"
            f" {type(result).__name__}, not a {kind.__name__}."
        )
    return result


def _label(number: int, name: str) -> str:
    # Two augmentations may draw labels of the same name.
    return f"augmentation{number}.{name}"


def _labels_of(labels: Mapping[str, Tensor], number: int) -> dict[str, Tensor]:
    prefix = _label(number, "")
    return {
        name.removeprefix(prefix): value
        for name, value in labels.items()
        if name.startswith(prefix)
    }
