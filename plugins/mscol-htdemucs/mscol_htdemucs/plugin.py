"""The card; nothing here imports torch, NumPy or onnxruntime."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mscol_cli.api import SeparatorCard, hookimpl, option

if TYPE_CHECKING:
    from mscol_cli.api import Separator, SeparatorContext


@dataclass(frozen=True)
class HTDemucsOptions:
    """Options of `htdemucs`."""

    overlap: float = option(
        0.25,
        "share of a segment that the next one covers, too, at least; less is faster",
        minimum=0.0,
        maximum=0.9,
    )


@hookimpl
def mscol_separators() -> list[SeparatorCard]:
    """The one separator."""
    return [
        SeparatorCard(
            name="htdemucs",
            summary="Hybrid Transformer Demucs: vocals, drums, bass and other, estimated from the"
            " mix at 44.1 kHz; --model FILE.onnx",
            build=_build,
            options=HTDemucsOptions,
            reference="Rouard, Massa, Défossez: Hybrid Transformers for Music Source Separation,"
            " ICASSP 2023, arXiv 2211.08553",
        )
    ]


def _build(options: HTDemucsOptions, context: SeparatorContext) -> Separator:
    from mscol_htdemucs.separator import HTDemucsSeparator

    return HTDemucsSeparator(options, context)
