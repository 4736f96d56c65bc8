"""The card; nothing here imports torch, NumPy or onnxruntime."""

from __future__ import annotations

from mscol_cli.api import SeparatorCard, hookimpl
from mscol_htdemucs.options import HTDemucsOptions


@hookimpl
def mscol_separators() -> list[SeparatorCard]:
    """The separator `htdemucs`."""
    return [
        SeparatorCard(
            name="htdemucs",
            summary="Hybrid Transformer Demucs: vocals, drums, bass and other, estimated from the"
            " mix at 44.1 kHz; --model FILE.onnx",
            build="mscol_htdemucs.separator:HTDemucsSeparator",
            options=HTDemucsOptions,
            reference="Rouard, Massa, Défossez: Hybrid Transformers for Music Source Separation,"
            " ICASSP 2023, arXiv 2211.08553",
        )
    ]
