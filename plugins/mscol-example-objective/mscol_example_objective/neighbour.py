"""The objective: where to cut, and what to minimise."""

import numpy as np
from torch import arange, nn
from torch.nn import functional as F

from mscol_cli.api import CropPlan, Crops, Objective


class Neighbour(Objective):
    """Which of the batch's second crops was cut within `distance` of this first one?"""

    def __init__(self, options, context):
        super().__init__()
        self.options, self.context = options, context
        self.head = nn.Linear(context.embedding_dim, 64)

    def plan(self, index, rng, batch_size):
        segment = rng.integers(0, index.segments, batch_size)
        room = np.maximum(index.segment_samples[segment] - self.context.crop_samples, 0)
        first = rng.integers(0, room + 1)
        reach = int(self.options.distance * index.sample_rate)
        second = np.clip(first + rng.integers(-reach, reach + 1, batch_size), 0, room)
        track, mixture = index.segment_track[segment], np.zeros_like(segment)
        begin = index.segment_start[segment]
        views = {"anchor": first, "positive": second}
        return CropPlan({name: Crops(track, mixture, begin + at) for name, at in views.items()})

    def loss(self, embeddings, labels):
        anchor, positive = (F.normalize(self.head(embeddings[v])) for v in ("anchor", "positive"))
        logits, target = anchor @ positive.T / 0.1, arange(len(anchor), device=anchor.device)
        return F.cross_entropy(logits, target), {
            "accuracy": (logits.argmax(1) == target).float().mean()
        }
