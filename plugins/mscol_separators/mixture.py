"""`none`: the mix without sources."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mscol_cli.api import MIXTURE, Chunking, NoOptions, Separator, SeparatorContext, UsageError

if TYPE_CHECKING:
    from torch import Tensor


class MixtureOnly(Separator):
    """Every file is a track without sources."""

    sources = ()
    chunking = Chunking(samples=1 << 21, overlap=0)

    def __init__(self, options: NoOptions, context: SeparatorContext) -> None:
        refuse_model("none", context)

    def separate(self, audio: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Return the mix as it is."""
        return {MIXTURE: audio[MIXTURE]}


def refuse_model(name: str, context: SeparatorContext) -> None:
    """Raise UsageError if `--model` is set for a separator without models."""
    if context.model is not None:
        raise UsageError(f"separator '{name}' has no model: leave out --model {context.model}.")
