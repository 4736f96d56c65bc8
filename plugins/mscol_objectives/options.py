"""Options of the bundled objectives; nothing here imports torch."""

from __future__ import annotations

from dataclasses import dataclass

from mscol_cli.api import option


@dataclass(frozen=True)
class AssociationOptions:
    """Options of the similarity and the loss that all objectives but `clmr` share."""

    similarity: str = option(
        "bilinear",
        "logits: a W p as published, or cosines divided by a learned temperature",
        choices=("bilinear", "cosine"),
    )
    similarity_std: float = option(
        0.05, "standard deviation of the initial W of similarity=bilinear", minimum=0.0
    )
    temperature: float = option(
        0.1, "initial temperature of similarity=cosine", minimum=0.01, maximum=100.0
    )
    symmetric: bool = option(
        False, "mean of the losses from anchors to positives and from positives to anchors"
    )


@dataclass(frozen=True)
class PairOptions(AssociationOptions):
    """Options of objectives that cut both crops of a pair from one segment."""

    last_offset: bool = option(
        True, "a crop may end where its segment ends; false excludes that one offset of 295"
    )
    excerpts: int = option(
        1, "segments of each track in a batch: hard negatives of one another", minimum=1
    )


@dataclass(frozen=True)
class MwsAugmentationOptions:
    """Options of masking, warping and shifting."""

    fill: float = option(0.0, "log-mel value written into masked and vacated cells")
    leak: bool = option(
        False, "changes of one crop appear in the other where both overlap, as published"
    )


@dataclass(frozen=True)
class MwsOptions(MwsAugmentationOptions, PairOptions):
    """Options of `mws`."""


@dataclass(frozen=True)
class RandomMaskAugmentationOptions:
    """Options of the random mask."""

    keep: float = option(
        0.25, "median of the mask, a factor on magnitudes", minimum=0.01, maximum=0.99
    )
    sharpness: float = option(
        4.0, "0 for a flat mask, large values for a nearly binary one", minimum=0.0, maximum=100.0
    )
    time_cells: int = option(8, "random values along time, per crop", minimum=2, maximum=98)
    band_cells: int = option(8, "random values along frequency, per crop", minimum=2, maximum=64)


@dataclass(frozen=True)
class RandomMaskOptions(RandomMaskAugmentationOptions, PairOptions):
    """Options of `random-mask`."""


@dataclass(frozen=True)
class RemixAugmentationOptions:
    """Options of the random gains of sources."""

    range_db: float = option(
        12.0, "largest gain of a source, up or down, dB", minimum=0.0, maximum=60.0
    )


@dataclass(frozen=True)
class RemixOptions(RemixAugmentationOptions, PairOptions):
    """Options of `remix`."""


@dataclass(frozen=True)
class SourceOptions(PairOptions):
    """Options of objectives that learn from sources."""

    stems: tuple[str, ...] = option((), "sources to associate, a,b,c; empty for all in the store")
    silence_threshold: float = option(
        0.01, "mean |x| of a segment, full scale 1, above which a source sounds", minimum=0.0
    )


@dataclass(frozen=True)
class MsaOptions(SourceOptions):
    """Options of `msa`."""

    silent_share: float = option(
        0.5, "share of batches that may hold silent positives", minimum=0.0, maximum=1.0
    )
    silence_windows: str = option(
        "aligned",
        "windows of that mean: the segments, or drifting by 0.08 s per segment, as published",
        choices=("aligned", "drifting"),
    )
    silent_fill: float = option(0.0, "feature value of a silent positive")


@dataclass(frozen=True)
class MultiPositiveOptions(SourceOptions):
    """Options of `multi-positive`."""

    negatives: str = option(
        "all",
        "other candidates of a positive: all sources of all rows, or the same source of other rows",
        choices=("all", "same-source"),
    )


@dataclass(frozen=True)
class SubmixturesOptions(SourceOptions):
    """Options of `submixtures`."""

    anchor: str = option(
        "rest",
        "what a random sub-mixture is associated with: the rest of the sources, or the mixture",
        choices=("rest", "mixture"),
    )
    aligned: bool = option(False, "both crops begin at the same sample, as in COCOLA")


@dataclass(frozen=True)
class ClmrAugmentationOptions:
    """Options of CLMR's augmentations: the probability of each step."""

    polarity: float = option(0.8, "probability of inverting the polarity", minimum=0.0, maximum=1.0)
    noise: float = option(
        0.01, "probability of white noise, 40 to 80 dB below the crop", minimum=0.0, maximum=1.0
    )
    gain: float = option(0.3, "probability of a gain of -1 to -20 dB", minimum=0.0, maximum=1.0)
    filter: float = option(
        0.8,
        "probability of a high-pass of 200 to 1200 Hz or a low-pass of 2200 to 4000 Hz",
        minimum=0.0,
        maximum=1.0,
    )
    delay: float = option(
        0.3, "probability of one echo after 200 to 450 ms", minimum=0.0, maximum=1.0
    )
    pitch: float = option(0.6, "probability of a pitch shift", minimum=0.0, maximum=1.0)
    pitch_cents: int = option(
        700, "largest shift of pitch up or down, cents", minimum=0, maximum=1200
    )
    reverb: float = option(0.6, "probability of reverberation", minimum=0.0, maximum=1.0)


@dataclass(frozen=True)
class ClmrOptions(ClmrAugmentationOptions):
    """Options of `clmr`."""

    temperature: float = option(0.5, "divisor of cosines in the loss", minimum=0.01, maximum=100.0)
    projection_dim: int = option(64, "size of the projections", minimum=1, maximum=65_536)
