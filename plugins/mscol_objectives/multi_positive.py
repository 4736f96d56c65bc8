"""Multi-positive: associate a song excerpt with all of its sources at once."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from mscol_cli.api import CropPlan, IntArray, StoreIndex, UsageError
from mscol_objectives.logits import logit_std
from mscol_objectives.options import MultiPositiveOptions
from mscol_objectives.sampling import find_stems
from mscol_objectives.segments import SegmentAssociation

POSITIVE, SOUNDS = "positive/", "sounds/"
"""Prefixes of views and labels, such as `positive/vocals` and `sounds/vocals`."""


class MultiPositive(SegmentAssociation):
    """Every source of a segment is a positive of its mixture, in one softmax.

    The anchor is a crop of the mixture; the positives are a crop of each source that sounds in the
    segment, all at independent offsets. The loss is the supervised contrastive one (arXiv
    2004.11362, outside the logarithm): the mean over an anchor's positives of their negative log
    softmax over all sources of all rows or, with `negatives=same-source`, over their own source of
    all rows. Silent sources are neither positives nor negatives; their crops are of the mixture, so
    that batch normalisation never sees silence. A batch has one view per source, so an update costs
    (1 + sources) / 2 times one of `msa`.
    """

    options: MultiPositiveOptions
    candidate_verb = "has sources sounding in only"

    def candidates(self, index: StoreIndex, source: int | None = None) -> IntArray:
        """Rows of the segments in which a source sounds. Raises UsageError if there are none."""
        stems, threshold = find_stems(index, self.options.stems), self.options.silence_threshold
        segments = np.flatnonzero((index.segment_level[:, stems] > threshold).any(axis=1))
        if not len(segments):
            raise UsageError(
                f"all sources are silent in the entire store (mean |x| up to {threshold}): lower"
                " silence_threshold."
            )
        return segments

    def plan(self, index: StoreIndex, rng: np.random.Generator, batch_size: int) -> CropPlan:
        """Segments in which a source sounds; an offset for the mixture and for each source."""
        segments = self.draw(index, batch_size, rng)
        views = {"anchor": self.cut(index, segments, 0, rng)}
        labels = {}
        for stem in find_stems(index, self.options.stems):
            sounds = index.segment_level[segments, stem] > self.options.silence_threshold
            source = np.where(sounds, stem, 0)
            name = index.sources[stem]
            views[POSITIVE + name] = self.cut(index, segments, source, rng)
            labels[SOUNDS + name] = sounds
        return CropPlan(views, labels)

    def loss(
        self, embeddings: Mapping[str, Tensor], labels: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss above; accuracy among the candidates of one source, overall and by source."""
        anchor = embeddings["anchor"]
        names = [view.removeprefix(POSITIVE) for view in embeddings if view != "anchor"]
        positives = torch.cat([embeddings[POSITIVE + name] for name in names])
        sounds = torch.stack([labels[SOUNDS + name] for name in names])
        logits = self.similarity(anchor, positives).view(len(anchor), *sounds.shape)
        loss = multi_positive_loss(logits, sounds, self.options.negatives == "same-source")
        if self.symmetric:
            loss = (loss + _reverse_loss(logits, sounds)) / 2
        candidates = logits.detach().masked_fill(~sounds, -torch.inf)
        rows = torch.arange(len(anchor), device=anchor.device)
        correct = (candidates.argmax(2) == rows[:, None]).T & sounds
        metrics = {"accuracy": correct.sum() / sounds.sum()}
        for name, hits, heard in zip(names, correct, sounds, strict=True):
            metrics[f"accuracy/{name}"] = hits.sum() / heard.sum()
        return loss, {
            **metrics,
            "logit_std": logit_std(candidates),
            **self.similarity.metrics(),
        }


def multi_positive_loss(logits: Tensor, sounds: Tensor, same_source: bool) -> Tensor:
    """Mean over anchors of the mean over their positives of the negative log softmax.

    Args:
        logits: (batch, sources, batch) of anchors with the sources of all rows.
        sounds: (sources, batch) bool, the candidates.
        same_source: Whether the candidates of a positive are of its own source only.

    Returns:
        A scalar. Anchors without positives are left out.
    """
    # A finite value: the gradient of logsumexp over nothing but -inf is NaN.
    masked = logits.masked_fill(~sounds, torch.finfo(logits.dtype).min / 2)
    total = masked.logsumexp(2) if same_source else masked.logsumexp((1, 2))[:, None]
    losses = (total - _own(masked)).masked_fill(~sounds.T, 0).sum(1)
    positives = sounds.sum(0)
    return (losses / positives.clamp(min=1)).sum() / (positives > 0).sum().clamp(min=1)


def _reverse_loss(logits: Tensor, sounds: Tensor) -> Tensor:
    """Cross-entropy from each source that sounds to the anchors of all rows."""
    losses = (logits.logsumexp(0).T - _own(logits)).masked_fill(~sounds.T, 0)
    return losses.sum() / sounds.sum().clamp(min=1)


def _own(logits: Tensor) -> Tensor:
    """(batch, sources) logits of anchors with their own sources."""
    return logits.diagonal(dim1=0, dim2=2).T
