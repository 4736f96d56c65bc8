"""The names in metrics.jsonl: which the trainer writes itself, and how curves call them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

ONLINE_PROBE, BY_SOURCE = "probe/", "accuracy/"
"""What names of one kind begin with: scores of online probes by task, accuracy by source."""
NOT_DRAWN = ("step", "elapsed_s")
"""What curves run along."""


@dataclass(frozen=True)
class Watched:
    """One name, or all names that begin with it.

    Attributes:
        title: Of its panel.
        unit: What runs up.
        usual: Whether it is drawn where no metric is asked for.
        reserved: Whether the trainer writes it, so that no objective may.
    """

    title: str
    unit: str
    usual: bool = True
    reserved: bool = True


WATCHED: Mapping[str, Watched] = {
    "loss": Watched("loss", "mean loss"),
    "accuracy": Watched("accuracy of the association", "share of anchors", reserved=False),
    ONLINE_PROBE: Watched("online probe", "score"),
    BY_SOURCE: Watched("accuracy of the association", "share of anchors", reserved=False),
    "effective_rank": Watched("effective rank of embeddings", "directions"),
    "alignment": Watched("alignment (lower is closer)", "mean squared distance"),
    "uniformity": Watched("uniformity (lower is more even)", "log mean potential"),
    "gradient_norm": Watched("gradient norm", "L2 norm"),
    "logit_std": Watched("spread of logits", "standard deviation", usual=False, reserved=False),
    "pairs_per_second": Watched("speed", "pairs per second", usual=False),
    "data_wait": Watched("waiting for data", "share of time", usual=False),
    "learning_rate": Watched("learning rate", "rate", usual=False),
    "memory_bytes": Watched("memory", "bytes", usual=False),
}
"""In the order in which they are drawn."""


RESERVED = {*NOT_DRAWN, *(name for name, one in WATCHED.items() if one.reserved)} - {ONLINE_PROBE}
"""What the trainer writes itself."""
