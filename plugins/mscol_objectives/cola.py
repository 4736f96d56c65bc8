"""COLA: identify the two crops that come from one segment of music."""

from __future__ import annotations

import numpy as np

from mscol_cli.api import CropPlan, ObjectiveContext, StoreIndex
from mscol_objectives.association import Association
from mscol_objectives.options import PairOptions
from mscol_objectives.sampling import cut, draw_excerpts, repeats


class Cola(Association):
    """Contrastive learning of general-purpose audio representations (arXiv 2010.10915).

    The settings are those of the MSA paper: both crops come from one segment of about four seconds,
    and no noise is added.
    """

    def __init__(self, options: PairOptions, context: ObjectiveContext) -> None:
        super().__init__(options, context)
        self.options = options

    def check(self, index: StoreIndex, batch_size: int) -> list[str]:
        """Warn if a batch contains a segment more than once."""
        return repeats(index.segments, batch_size, "has")

    def plan(self, index: StoreIndex, rng: np.random.Generator, batch_size: int) -> CropPlan:
        """Two crops of the mixture per segment, at independent offsets."""
        segments = draw_excerpts(
            index, np.arange(index.segments), batch_size, self.options.excerpts, rng
        )
        last = self.options.last_offset
        return CropPlan(
            {
                view: cut(index, segments, 0, self.context, rng, last)
                for view in ("anchor", "positive")
            }
        )
