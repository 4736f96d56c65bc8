"""Cards of the bundled objectives; nothing here imports torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mscol_cli.api import ObjectiveCard, hookimpl, option

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


@dataclass(frozen=True)
class PairOptions:
    """Options of every objective that cuts both crops of a pair from one segment."""

    last_offset: bool = option(
        True, "a crop may end where its segment ends; false never draws that one offset of 295"
    )


@dataclass(frozen=True)
class MwsAugmentationOptions:
    """Options of masking, warping and shifting."""

    fill: float = option(0.0, "log-mel value written into masked and vacated cells")
    leak: bool = option(
        False, "what is done to one crop shows in the other where both overlap, as published"
    )


@dataclass(frozen=True)
class MwsOptions(MwsAugmentationOptions, PairOptions):
    """Options of `mws`."""


@dataclass(frozen=True)
class RandomMaskAugmentationOptions:
    """Options of the random mask."""

    keep: float = option(
        0.25, "share of the energy the mask keeps on average", minimum=0.01, maximum=0.99
    )
    sharpness: float = option(
        4.0, "0 is a flat mask, large values are nearly binary", minimum=0.0, maximum=100.0
    )
    time_cells: int = option(8, "random values along time, per crop", minimum=2, maximum=98)
    band_cells: int = option(8, "random values along frequency, per crop", minimum=2, maximum=64)


@dataclass(frozen=True)
class RandomMaskOptions(RandomMaskAugmentationOptions, PairOptions):
    """Options of `random-mask`."""


@dataclass(frozen=True)
class MsaOptions(PairOptions):
    """Options of `msa`."""

    stems: tuple[str, ...] = option((), "sources to associate, a,b,c; empty takes all in the store")
    silent_share: float = option(
        0.5, "share of batches that may hold silent positives", minimum=0.0, maximum=1.0
    )
    silence_threshold: float = option(
        0.01, "mean |x| of a segment, full scale 1, above which a source sounds", minimum=0.0
    )
    silence_windows: str = option(
        "aligned",
        "where that level is measured: over the segment, or 0.08 s later with each, as published",
        choices=("aligned", "drifting"),
    )
    silent_fill: float = option(0.0, "feature value that stands for a silent positive")


@dataclass(frozen=True)
class ClmrAugmentationOptions:
    """Options of CLMR's chain: how likely each step is."""

    polarity: float = option(
        0.8, "probability that a crop is turned upside down", minimum=0.0, maximum=1.0
    )
    noise: float = option(
        0.01, "probability of white noise, 40 to 80 dB below", minimum=0.0, maximum=1.0
    )
    gain: float = option(0.3, "probability of 1 to 20 dB less", minimum=0.0, maximum=1.0)
    filter: float = option(
        0.8,
        "probability of a high-pass of 200 to 1200 Hz or a low-pass of 2200 to 4000 Hz",
        minimum=0.0,
        maximum=1.0,
    )
    delay: float = option(
        0.3, "probability of one echo after 200 to 450 ms", minimum=0.0, maximum=1.0
    )
    pitch: float = option(0.6, "probability of another pitch", minimum=0.0, maximum=1.0)
    pitch_cents: int = option(
        700, "largest shift of pitch up or down, cents", minimum=0, maximum=1200
    )
    reverb: float = option(0.6, "probability of reverberation", minimum=0.0, maximum=1.0)


@dataclass(frozen=True)
class ClmrOptions(ClmrAugmentationOptions):
    """Options of `clmr`."""

    temperature: float = option(0.5, "what cosines are divided by", minimum=0.01, maximum=100.0)
    projection_dim: int = option(
        64, "size of the vectors that are compared", minimum=1, maximum=65_536
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
