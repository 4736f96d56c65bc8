"""Names of training metrics: which ones the trainer reserves, and how they are plotted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

ONLINE_PROBE, BY_SOURCE = "probe/", "accuracy/"
"""Prefixes: scores of online probes by task, accuracy by source."""
NOT_DRAWN = ("step", "elapsed_s")
"""Horizontal axes, which have no curves of their own."""


@dataclass(frozen=True)
class Watched:
    """How a metric, or all metrics with a prefix, are plotted.

    Attributes:
        title: Title of the panel.
        unit: Label of the vertical axis.
        usual: Whether it is plotted by default.
        reserved: Whether the trainer writes it; objectives may not report this name.
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
"""Metrics by name or prefix, in the order of their panels."""

RESERVED = {*NOT_DRAWN, *(name for name, metric in WATCHED.items() if metric.reserved)} - {
    ONLINE_PROBE
}
"""Metrics that the trainer writes, without those of online probes."""
