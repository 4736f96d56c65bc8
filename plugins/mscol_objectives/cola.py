"""COLA: identify the two crops that come from one segment of music."""

from __future__ import annotations

import numpy as np

from mscol_cli.api import CropPlan, StoreIndex
from mscol_objectives.segments import SegmentAssociation


class Cola(SegmentAssociation):
    """Contrastive learning of general-purpose audio representations (arXiv 2010.10915).

    The settings are those of the MSA paper: both crops come from one segment of about four seconds,
    and no noise is added.
    """

    def plan(self, index: StoreIndex, rng: np.random.Generator, batch_size: int) -> CropPlan:
        """Two crops of the mixture per segment, at independent offsets."""
        segments = self.draw(index, batch_size, rng)
        return CropPlan(
            {view: self.cut(index, segments, 0, rng) for view in ("anchor", "positive")}
        )
