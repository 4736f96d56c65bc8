"""Remix: mixtures whose sources have random gains."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mscol_cli.api import (
    MIXTURE,
    Augmentation,
    Augmented,
    CropPlan,
    Crops,
    ObjectiveContext,
    StoreIndex,
)
from mscol_objectives.cola import Cola
from mscol_objectives.options import RemixAugmentationOptions, RemixOptions


class Remix(Augmentation):
    """Every crop of the mixture becomes a sum of all sources, each with a random gain.

    Gains are uniform in decibels from -`range_db` to `range_db`, independent for each view, row and
    source. Sub-mixtures get random gains, too; crops of one source stay as they are. What separated
    sources lack of the mixture is lost.
    """

    def __init__(self, options: RemixAugmentationOptions, _: ObjectiveContext) -> None:
        super().__init__()
        self.options = options

    def mix(self, plan: CropPlan, index: StoreIndex, rng: np.random.Generator) -> CropPlan:
        """Draw gains for each view that is not of single sources only."""
        views = {view: self._remix(crops, index, rng) for view, crops in plan.views.items()}
        return replace(plan, views=views)

    def _remix(self, crops: Crops, index: StoreIndex, rng: np.random.Generator) -> Crops:
        mixture = index.sources.index(MIXTURE)
        if crops.gains is None and (crops.source != mixture).all():
            return crops
        stems = np.eye(len(index.sources), dtype=bool)
        stems[mixture] = ~stems[mixture]
        gains = stems[crops.source] if crops.gains is None else crops.gains
        limit = self.options.range_db
        drawn = 10 ** (rng.uniform(-limit, limit, gains.shape) / 20)
        return replace(crops, gains=(gains * drawn).astype(np.float32))


class RemixCola(Augmented):
    """COLA with random gains of the sources in both crops."""

    def __init__(self, options: RemixOptions, context: ObjectiveContext) -> None:
        super().__init__(Cola(options, context), [Remix(options, context)])
