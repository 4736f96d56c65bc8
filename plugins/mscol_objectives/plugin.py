"""Cards of the bundled objectives; nothing here imports torch."""

from __future__ import annotations

from mscol_cli.api import ObjectiveCard, hookimpl
from mscol_objectives.options import (
    ClmrAugmentationOptions,
    ClmrOptions,
    MsaOptions,
    MultiPositiveOptions,
    MwsAugmentationOptions,
    MwsOptions,
    PairOptions,
    RandomMaskAugmentationOptions,
    RandomMaskOptions,
    RemixAugmentationOptions,
    RemixOptions,
    SubmixturesOptions,
)

COLA_PAPER = (
    "Saeed, Grangier, Zeghidour: Contrastive Learning of General-Purpose Audio Representations,"
    " ICASSP 2021, arXiv 2010.10915"
)
MSA_PAPER = (
    "Garoufis, Zlatintsi, Maragos: Multi-Source Contrastive Learning from Musical Audio,"
    " SMC 2023, arXiv 2302.07077"
)
CLMR_PAPER = (
    "Spijkervet, Burgoyne: Contrastive Learning of Musical Representations, ISMIR 2021,"
    " arXiv 2103.09410"
)
S3T_PAPER = (
    "Zhao et al.: S3T, Self-Supervised Pre-Training with Swin Transformer for Music"
    " Classification, ICASSP 2022, arXiv 2202.10139"
)

SUPCON_PAPER = "Khosla et al.: Supervised Contrastive Learning, NeurIPS 2020, arXiv 2004.11362"

COCOLA_PAPER = (
    "Ciranni et al.: COCOLA, Coherence-Oriented Contrastive Learning of Musical Audio"
    " Representations, ICASSP 2025, arXiv 2404.16969"
)


@hookimpl
def mscol_objectives() -> list[ObjectiveCard]:
    """The objectives of the paper's comparison, and CLMR; all but CLMR share COLA's head."""
    return [
        ObjectiveCard(
            "cola",
            "two crops of one segment of the mixture",
            "mscol_objectives.cola:Cola",
            PairOptions,
            COLA_PAPER,
        ),
        ObjectiveCard(
            "mws",
            "COLA with masking, warping and shifting of both crops",
            "mscol_objectives.mws:MaskWarpShiftCola",
            MwsOptions,
            S3T_PAPER,
            augmentation="mscol_objectives.mws:MaskWarpShift",
            augmentation_options=MwsAugmentationOptions,
        ),
        ObjectiveCard(
            "random-mask",
            "a crop of the mixture and a randomly masked crop, as a control for separation",
            "mscol_objectives.random_mask:RandomMaskCola",
            RandomMaskOptions,
            MSA_PAPER,
            augmentation="mscol_objectives.random_mask:RandomMask",
            augmentation_options=RandomMaskAugmentationOptions,
        ),
        ObjectiveCard(
            "remix",
            "COLA with a random gain of each source in both crops",
            "mscol_objectives.remix:RemixCola",
            RemixOptions,
            needs_sources=True,
            augmentation="mscol_objectives.remix:Remix",
            augmentation_options=RemixAugmentationOptions,
        ),
        ObjectiveCard(
            "msa",
            "a crop of the mixture and one of its own separated sources",
            "mscol_objectives.msa:MusicSourceAssociation",
            MsaOptions,
            MSA_PAPER,
            needs_sources=True,
            sources_option="stems",
        ),
        ObjectiveCard(
            "multi-positive",
            "a crop of the mixture and one of each of its sources, all of them positives",
            "mscol_objectives.multi_positive:MultiPositive",
            MultiPositiveOptions,
            SUPCON_PAPER,
            needs_sources=True,
            sources_option="stems",
        ),
        ObjectiveCard(
            "submixtures",
            "a random sub-mixture of the sources and the sub-mixture of the others",
            "mscol_objectives.submixtures:Submixtures",
            SubmixturesOptions,
            COCOLA_PAPER,
            needs_sources=True,
            sources_option="stems",
        ),
        ObjectiveCard(
            "clmr",
            "two crops of one track with augmented waveforms, and SimCLR's loss",
            "mscol_objectives.clmr_chain:AugmentedClmr",
            ClmrOptions,
            CLMR_PAPER,
            augmentation="mscol_objectives.clmr_chain:ClmrAugmentations",
            augmentation_options=ClmrAugmentationOptions,
        ),
    ]
