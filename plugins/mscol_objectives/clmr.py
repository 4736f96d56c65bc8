"""CLMR: tell which two augmented crops come from one track."""

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
    """Contrastive learning of musical representations (arXiv 2103.09410), without its
    augmentations, which are `ClmrAugmentations`.

    A pair is two crops of one mixture, each anywhere in the track. A projector (linear to the
    encoder's own size, ReLU, linear to `projection_dim`, no biases) and NT-Xent with cosines
    divided by `temperature`, in both directions, tell pairs apart.

    The authors' loader goes through all clips once per epoch. Here every update is drawn from seed
    and step alone, which knows no epochs: tracks are uniform, and distinct within a batch while
    they last. As there, tracks shorter than a crop are left out.
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
        """Refuse a store without one long enough track; warn of repeats and of short tracks."""
        tracks, all_tracks = len(self._long_enough(index)), len(index.track_ids)
        seconds = self.context.crop_samples / self.context.sample_rate
        if not tracks:
            raise UsageError(
                f"no track of the store lasts {seconds:.2f} s, a crop of this encoder: choose"
                " another encoder or longer music."
            )
        notes = []
        if tracks < all_tracks:
            short = all_tracks - tracks
            notes.append(f"{short} tracks are left out: shorter than a crop, {seconds:.2f} s.")
        if tracks < batch_size:
            notes.append(
                f"the store has {tracks} tracks for a batch of {batch_size}: some repeat within it"
                " and count as wrong answers; lower --batch-size or add music."
            )
        return notes

    def plan(self, index: StoreIndex, rng: np.random.Generator, batch_size: int) -> CropPlan:
        """Two crops of the mixture per track, at independent places."""
        tracks = draw_segments(self._long_enough(index), batch_size, rng)
        return CropPlan({view: self._cut(index, tracks, rng) for view in ("anchor", "positive")})

    def project(self, embeddings: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The projector's (rows, projection_dim) of each view."""
        return {view: self.projector(embeddings[view]) for view in ("anchor", "positive")}

    def loss(
        self, embeddings: Mapping[str, Tensor], labels: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """NT-Xent over both directions; the share of crops that find their pair, how far logits
        are spread, and the temperature, which is not learnt."""
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
