"""Cards of the bundled importers; nothing here imports torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mscol_cli.api import ImporterCard, hookimpl
from mscol_importers.options import TensorFlowOptions

if TYPE_CHECKING:
    from mscol_cli.api import Importer

MSA_PAPER = (
    "Garoufis, Zlatintsi, Maragos: Multi-Source Contrastive Learning from Musical Audio,"
    " SMC 2023, arXiv 2302.07077"
)


def _tensorflow(options: TensorFlowOptions) -> Importer:
    from mscol_importers.tensorflow import TensorFlowImporter

    return TensorFlowImporter(options)


@hookimpl
def mscol_importers() -> list[ImporterCard]:
    """The importer of the published models."""
    return [
        ImporterCard(
            "tensorflow",
            "the published models, TensorFlow checkpoints of efficientnet_b0 and msa's head",
            _tensorflow,
            TensorFlowOptions,
            MSA_PAPER,
        )
    ]
