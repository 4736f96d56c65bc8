"""CLMR: identify the two augmented crops that come from one track."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from torch import Tensor, nn
from torch.nn import functional as F

from mscol_cli.api import (
    CropPlan,
    Crops,
    IntArray,
    Objective,
    ObjectiveContext,
    StoreIndex,
    UsageError,
)
from mscol_objectives.logits import logit_std
from mscol_objectives.ntxent import nt_xent_logits
from mscol_objectives.options import ClmrOptions
from mscol_objectives.sampling import draw_segments


class Clmr(Objective):
    """Contrastive learning of musical representations (arXiv 2103.09410), without augmentations.

    A pair is two crops at random positions of one mixture. The projector is linear to the encoder's
    size, ReLU, linear to `projection_dim`, without biases. The loss is NT-Xent in both directions,
    with cosines divided by `temperature`.

    The authors' loader visits all clips once per epoch. Here every update depends on seed and step
    only, without epochs: tracks are uniform, and distinct within a batch if there are enough. As in
    their code, tracks shorter than a crop are left out.
    """

    def __init__(self, options: ClmrOptions, context: ObjectiveContext) -> None:
        super().__init__()
        self.options = options
        self.context = context
        dim = context.embedding_dim
        self.projector = nn.Sequential(
            nn.Linear(dim, dim, bias=False),
            nn.ReLU(),
            nn.Linear(dim, options.projection_dim, bias=False),
        )

    def check(self, index: StoreIndex, batch_size: int) -> list[str]:
        """Refuse a store without a track as long as a crop; warn of repeats and short tracks."""
        tracks = len(self._long_enough(index))
        seconds = self.context.crop_samples / self.context.sample_rate
        if not tracks:
            raise UsageError(
                f"no track of the store is as long as a crop of this encoder, {seconds:.2f} s:"
                " choose another encoder or longer music."
            )
        notes = []
        if short := len(index.track_ids) - tracks:
            notes.append(f"{short} tracks are left out: shorter than a crop, {seconds:.2f} s.")
        if tracks < batch_size:
            notes.append(
                f"the store has {tracks} tracks for a batch of {batch_size}: some repeat within it"
                " and count as wrong answers; lower --batch-size or add music."
            )
        return notes

    def plan(self, index: StoreIndex, rng: np.random.Generator, batch_size: int) -> CropPlan:
        """Two crops of the mixture per track, at independent positions."""
        tracks = draw_segments(self._long_enough(index), batch_size, rng)
        return CropPlan({view: self._cut(index, tracks, rng) for view in ("anchor", "positive")})

    def project(self, embeddings: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Project each view, (rows, embedding_dim) to (rows, projection_dim)."""
        return {view: self.projector(embeddings[view]) for view in ("anchor", "positive")}

    def loss(
        self, embeddings: Mapping[str, Tensor], labels: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """NT-Xent in both directions; accuracy, the spread of logits, and the fixed temperature."""
        anchor, positive = embeddings["anchor"], embeddings["positive"]
        logits, targets = nt_xent_logits(anchor, positive, self.options.temperature)
        metrics = {
            "accuracy": (logits.argmax(1) == targets).float().mean(),
            "logit_std": logit_std(logits),
            "temperature": logits.new_full((), self.options.temperature),
        }
        return F.cross_entropy(logits, targets), metrics

    def _cut(self, index: StoreIndex, tracks: IntArray, rng: np.random.Generator) -> Crops:
        room = index.track_samples[tracks] - self.context.crop_samples
        start = rng.integers(0, room // self.context.start_grid + 1) * self.context.start_grid
        return Crops(track=tracks, source=np.zeros_like(tracks), start=start)

    def _long_enough(self, index: StoreIndex) -> IntArray:
        return np.flatnonzero(index.track_samples >= self.context.crop_samples)
