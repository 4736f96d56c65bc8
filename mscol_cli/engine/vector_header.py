"""Header of the vectors that a model computes."""

from __future__ import annotations

import json
from dataclasses import asdict

from mscol_cli.engine.models import Model
from mscol_cli.host import Part
from mscol_cli.vectors import VectorHeader


def vector_header(
    model: Model,
    *,
    hop: int | None = None,
    pool: str = "none",
    precision: str = "float32",
    source: str = "mixture",
    corruption: str | None = None,
) -> VectorHeader:
    """Describe vectors by a model.

    Args:
        model: The model.
        hop: Samples from the start of one window to the next; None for that of the encoder.
        pool: `mean`, `max` or `none`.
        precision: `float32` or `float16`.
        source: Source of stores.
        corruption: Name of a corruption.
    """
    encoder = model.encoder
    return VectorHeader(
        model=model.name,
        model_hash=model.hash,
        encoder=model.part.name,
        sample_rate=encoder.sample_rate,
        window=encoder.crop_samples,
        hop=encoder.window_hop if hop is None else hop,
        level=encoder.level,
        dim=encoder.dim,
        pool=pool,
        precision=precision,
        source=source,
        corruption=corruption,
        implementation=_implementation(model.part),
    )


def _implementation(encoder: Part) -> str:
    """The installed code, not the recorded one: this computes the vectors."""
    entry = encoder.entry
    if entry.is_bundled:
        return ""
    return f"{entry.owner} {entry.version} {json.dumps(asdict(encoder.options), sort_keys=True)}"
