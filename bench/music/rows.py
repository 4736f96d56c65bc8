"""Rows of the study of the music bench: what is trained, and what an update costs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One way to pre-train the encoder.

    Attributes:
        name: Name of the row, and of its runs with `-SEED` appended.
        objective: As `mscol pretrain --objective`.
        options: As `--opt`.
        store: Name of the store.
        encoder: Name of the encoder.
        cost: Time of an update relative to `cola`, for the estimate.
        trained: Whether the encoder is trained at all.
        about: What the row is, for the results.
    """

    name: str
    objective: str
    about: str
    options: tuple[str, ...] = ()
    store: str = "recorded"
    encoder: str = "small"
    cost: float = 1.0
    trained: bool = True


COSINE = ("similarity=cosine",)
SOUNDING = ("silent_share=0",)
BETTER = (*SOUNDING, *COSINE)
STEMS = ("vocals", "bass", "drums", "other")
BASELINES = (
    Row("untrained", "cola", "initial weights", trained=False),
    Row("cola", "cola", "two crops of the mixture"),
    Row("msa", "msa", "mixture and one separated source, as published"),
    Row("msa-sounding", "msa", "MSA without silent positives", SOUNDING),
)
PAPER = (
    Row("mws", "mws", "COLA with masking, warping and shifting", cost=1.1),
    Row("random-mask", "random-mask", "COLA with random masks"),
    Row("clmr", "clmr", "augmented waveforms", cost=2.9),
    Row("msa-mws", "msa+mws", "MSA with the augmentations of MWS", cost=1.4),
    *(Row(f"msa-{stem}", "msa", f"MSA with {stem} only", (f"stems={stem}",)) for stem in STEMS),
)
IMPROVED = (
    Row("cola-clmr", "cola+clmr", "COLA with CLMR's augmentations", cost=3.0),
    Row("cola-cosine", "cola", "COLA, cosine with a learned temperature", COSINE),
    Row("msa-cosine", "msa", "MSA without silent positives, cosine", BETTER),
    Row(
        "msa-symmetric",
        "msa",
        "MSA without silent positives, cosine, both directions",
        (*BETTER, "symmetric=true"),
    ),
    Row(
        "msa-remix",
        "msa+remix",
        "MSA without silent positives, cosine, random gains",
        BETTER,
        cost=1.2,
    ),
    Row(
        "msa-excerpts",
        "msa",
        "MSA without silent positives, cosine, hard negatives",
        (*BETTER, "excerpts=2"),
    ),
    Row("msa-mws-sounding", "msa+mws", "MSA with MWS, no silent positives", SOUNDING, cost=1.3),
    Row("msa-clmr", "msa+clmr", "MSA with CLMR's augmentations, no silence", SOUNDING, cost=2.9),
    Row("submixtures", "submixtures", "a sub-mixture and the rest, cosine", COSINE),
    Row("multi-positive", "multi-positive", "all sources are positives, cosine", COSINE, cost=2.5),
)
RENDERED = (
    Row("rendered-cola", "cola", "COLA on rendered music", store="rendered"),
    Row("rendered-true", "msa", "MSA on true stems, no silence", SOUNDING, "rendered"),
    Row("rendered-separated", "msa", "MSA on the same, separated", SOUNDING, "separated"),
    Row("rendered-cosine", "msa", "MSA on true stems, cosine", BETTER, "rendered"),
    Row("rendered-submixtures", "submixtures", "sub-mixtures, cosine", COSINE, "rendered"),
)
QUALITY = (
    Row("hour-true", "msa", "MSA on true stems, one hour", SOUNDING, "hour"),
    Row("hour-htdemucs", "msa", "MSA on the same, by htdemucs", SOUNDING, "hour-htdemucs"),
    Row("hour-separated", "msa", "MSA on the same, by mini", SOUNDING, "hour-separated"),
)
B0 = "efficientnet_b0"
LARGE = (
    Row(
        "large-untrained",
        "cola",
        "initial weights, EfficientNet-B0",
        store="rendered",
        encoder=B0,
        trained=False,
    ),
    Row(
        "large-cola",
        "cola",
        "COLA, EfficientNet-B0 on rendered music",
        store="rendered",
        encoder=B0,
        cost=8.0,
    ),
    Row(
        "large-msa",
        "msa",
        "MSA on true stems, EfficientNet-B0",
        SOUNDING,
        "rendered",
        B0,
        cost=8.0,
    ),
)
GROUPS = {
    "main": BASELINES,
    "paper": PAPER,
    "improved": IMPROVED,
    "rendered": RENDERED,
    "quality": QUALITY,
    "large": LARGE,
}
TRAINED = {row.name: row.trained for rows in GROUPS.values() for row in rows}
"""Whether a row is trained at all, by its name."""
