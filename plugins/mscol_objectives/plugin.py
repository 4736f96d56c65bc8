"""Cards of the bundled objectives; nothing here imports torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mscol_cli.api import ObjectiveCard, hookimpl
from mscol_objectives.options import (
    ClmrAugmentationOptions,
    ClmrOptions,
    MsaOptions,
    MwsAugmentationOptions,
    MwsOptions,
    PairOptions,
    RandomMaskAugmentationOptions,
    RandomMaskOptions,
)

if TYPE_CHECKING:
    from mscol_cli.api import Augmentation, Objective, ObjectiveContext

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


def _cola(options: PairOptions, context: ObjectiveContext) -> Objective:
    from mscol_objectives.cola import Cola

    return Cola(options, context)


def _mws(options: MwsOptions, context: ObjectiveContext) -> Objective:
    from mscol_cli.api import Augmented

    return Augmented(_cola(options, context), [_mask_warp_shift(options, context)])


def _mask_warp_shift(options: MwsAugmentationOptions, context: ObjectiveContext) -> Augmentation:
    from mscol_objectives.mws import MaskWarpShift

    return MaskWarpShift(options, context)


def _random_mask(options: RandomMaskOptions, context: ObjectiveContext) -> Objective:
    from mscol_cli.api import Augmented

    return Augmented(_cola(options, context), [_mask(options, context)])


def _mask(options: RandomMaskAugmentationOptions, _: ObjectiveContext) -> Augmentation:
    from mscol_objectives.random_mask import RandomMask

    return RandomMask(options)


def _msa(options: MsaOptions, context: ObjectiveContext) -> Objective:
    from mscol_objectives.msa import MusicSourceAssociation

    return MusicSourceAssociation(options, context)


def _clmr(options: ClmrOptions, context: ObjectiveContext) -> Objective:
    from mscol_cli.api import Augmented
    from mscol_objectives.clmr import Clmr

    return Augmented(Clmr(options, context), [_clmr_chain(options, context)])


def _clmr_chain(options: ClmrAugmentationOptions, context: ObjectiveContext) -> Augmentation:
    from mscol_objectives.clmr_chain import ClmrAugmentations

    return ClmrAugmentations(options, context)


@hookimpl
def mscol_objectives() -> list[ObjectiveCard]:
    """The objectives of the paper's comparison; all but the last share COLA's head."""
    return [
        ObjectiveCard(
            "cola", "two crops of one segment of the mixture", _cola, PairOptions, COLA_PAPER
        ),
        ObjectiveCard(
            "mws",
            "COLA with masking, warping and shifting of both crops",
            _mws,
            MwsOptions,
            S3T_PAPER,
            augmentation=_mask_warp_shift,
            augmentation_options=MwsAugmentationOptions,
        ),
        ObjectiveCard(
            "random-mask",
            "a crop of the mixture and a randomly masked one, as if badly separated",
            _random_mask,
            RandomMaskOptions,
            MSA_PAPER,
            augmentation=_mask,
            augmentation_options=RandomMaskAugmentationOptions,
        ),
        ObjectiveCard(
            "msa",
            "a crop of the mixture and one of its own separated sources",
            _msa,
            MsaOptions,
            MSA_PAPER,
        ),
        ObjectiveCard(
            "clmr",
            "two crops of one track, their waveforms augmented, with SimCLR's loss",
            _clmr,
            ClmrOptions,
            CLMR_PAPER,
            augmentation=_clmr_chain,
            augmentation_options=ClmrAugmentationOptions,
        ),
    ]
