"""`none`: the mix and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mscol_cli.api import MIXTURE, Chunking, Separator

if TYPE_CHECKING:
    from torch import Tensor


class MixtureOnly(Separator):
    """Every file is a track, and has no sources."""

    sources = ()
    chunking = Chunking(samples=1 << 21, overlap=0)

    def separate(self, audio: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Return the mix as it is."""
        return {MIXTURE: audio[MIXTURE]}
