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
        cost: Time of an update relative to `cola`, for the estimate.
        trained: Whether the encoder is trained at all.
        about: What the row is, for the results.
    """

    name: str
    objective: str
    about: str
    options: tuple[str, ...] = ()
    store: str = "recorded"
    cost: float = 1.0
    trained: bool = True


COSINE = ("similarity=cosine",)
STEMS = ("vocals", "bass", "drums", "other")
BASELINES = (
    Row("untrained", "cola", "initial weights", trained=False),
    Row("cola", "cola", "two crops of the mixture"),
    Row("msa", "msa", "mixture and one separated source, as published"),
)
PAPER = (
    Row("mws", "mws", "COLA with masking, warping and shifting", cost=1.3),
    Row("random-mask", "random-mask", "COLA with random masks"),
    Row("clmr", "clmr", "augmented waveforms", cost=3.0),
    Row("msa-mws", "msa+mws", "MSA with the augmentations of MWS", cost=1.3),
    Row("msa-sounding", "msa", "MSA without silent positives", ("silent_share=0",)),
    *(Row(f"msa-{stem}", "msa", f"MSA with {stem} only", (f"stems={stem}",)) for stem in STEMS),
)
IMPROVED = (
    Row("cola-cosine", "cola", "COLA, cosine with a learned temperature", COSINE),
    Row("msa-cosine", "msa", "MSA, cosine with a learned temperature", COSINE),
    Row("msa-symmetric", "msa", "and both directions", (*COSINE, "symmetric=true")),
    Row("submixtures", "submixtures", "a sub-mixture and the rest, cosine", COSINE),
    Row("msa-remix", "msa+remix", "MSA, cosine, random gains of the mixture", COSINE, cost=1.2),
    Row("msa-excerpts", "msa", "MSA, cosine, hard negatives", (*COSINE, "excerpts=2")),
    Row("multi-positive", "multi-positive", "all sources are positives, cosine", COSINE, cost=2.5),
)
RENDERED = (
    Row("rendered-cola", "cola", "COLA on rendered music", store="rendered"),
    Row("rendered-true", "msa", "MSA on true stems", store="rendered"),
    Row("rendered-separated", "msa", "MSA on the same, separated", store="separated"),
)
GROUPS = {"main": BASELINES, "paper": PAPER, "improved": IMPROVED, "rendered": RENDERED}
