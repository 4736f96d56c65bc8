"""Stem retrieval on a store with sources."""

from __future__ import annotations

from typing import Literal, cast

from mscol_cli.api import StemRetrieval
from mscol_tasks.options import StemsOptions


class Stems(StemRetrieval):
    """Find the stem that belongs to the other stems of its track.

    The measures are those of Stem-JEPA (arXiv 2408.02514) and of zero-shot stem retrieval (arXiv
    2411.19806), whose models are trained to predict the missing stem and are given its instrument.
    """

    def __init__(self, options: StemsOptions) -> None:
        self.query = cast(Literal["rest", "stem"], options.query)
        self.candidates = cast(Literal["all", "source"], options.candidates)
        self.similarity = cast(Literal["cosine", "learned"], options.similarity)
