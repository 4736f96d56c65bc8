"""Cards of the bundled importers; nothing here imports torch."""

from __future__ import annotations

from mscol_cli.api import ImporterCard, hookimpl
from mscol_importers.options import TensorFlowOptions

MSA_PAPER = (
    "Garoufis, Zlatintsi, Maragos: Multi-Source Contrastive Learning from Musical Audio,"
    " SMC 2023, arXiv 2302.07077"
)


@hookimpl
def mscol_importers() -> list[ImporterCard]:
    """The importer of the published models."""
    return [
        ImporterCard(
            "tensorflow",
            "the published models, TensorFlow checkpoints of efficientnet_b0 and msa's head",
            "mscol_importers.tensorflow:TensorFlowImporter",
            TensorFlowOptions,
            MSA_PAPER,
        )
    ]
