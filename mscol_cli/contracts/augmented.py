"""An objective whose crops are augmented: `mws` is COLA under masking, warping and shifting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain

import numpy as np
from torch import Tensor, nn

from mscol_cli.contracts.objective import Augmentation, Objective
from mscol_cli.contracts.plans import CropPlan, StoreIndex


class Augmented(Objective):
    """An objective under augmentations, which change its crops in the order they are given.

    The objective itself comes last, so that what it writes into crops stays as it wrote it (the
    constant that stands for a silent source, for one). Crops, loss and weights are the objective's.
    """

    def __init__(self, objective: Objective, augmentations: Sequence[Augmentation]) -> None:
        super().__init__()
        # Flat, so that an augmentation's number names it among all.
        inner = objective._all() if isinstance(objective, Augmented) else []
        self.objective: Objective = (
            objective.objective if isinstance(objective, Augmented) else objective
        )
        self.augmentations = nn.ModuleList([*inner, *augmentations])

    def check(self, index: StoreIndex, batch_size: int) -> list[str]:
        """What the objective says."""
        return self.objective.check(index, batch_size)

    def plan(self, index: StoreIndex, rng: np.random.Generator, batch_size: int) -> CropPlan:
        """The objective's plan; what augmentations draw stands beside its labels."""
        plan = self.objective.plan(index, rng, batch_size)
        drawn = [
            {_label(number, name): value for name, value in part.draw(plan, rng).items()}
            for number, part in enumerate(self._all())
        ]
        labels = dict(chain(plan.labels.items(), *(label.items() for label in drawn)))
        return CropPlan(plan.views, labels)

    def augment_waveforms(
        self, views: Mapping[str, Tensor], labels: Mapping[str, Tensor]
    ) -> Mapping[str, Tensor]:
        """Every augmentation, then the objective."""
        for number, part in enumerate(self._all()):
            views = part.augment_waveforms(views, _own(labels, number))
        return self.objective.augment_waveforms(views, labels)

    def augment_features(
        self, views: Mapping[str, Tensor], labels: Mapping[str, Tensor]
    ) -> Mapping[str, Tensor]:
        """Every augmentation, then the objective."""
        for number, part in enumerate(self._all()):
            views = part.augment_features(views, _own(labels, number))
        return self.objective.augment_features(views, labels)

    def project(self, embeddings: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """What the objective makes of them."""
        return self.objective.project(embeddings)

    def loss(
        self, embeddings: Mapping[str, Tensor], labels: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """What the objective minimises."""
        return self.objective.loss(embeddings, labels)

    def _all(self) -> list[Augmentation]:
        return [part for part in self.augmentations if isinstance(part, Augmentation)]


def _label(number: int, name: str) -> str:
    # Two augmentations may draw a label of one name.
    return f"augmentation{number}.{name}"


def _own(labels: Mapping[str, Tensor], number: int) -> dict[str, Tensor]:
    prefix = _label(number, "")
    return {
        name.removeprefix(prefix): value
        for name, value in labels.items()
        if name.startswith(prefix)
    }
