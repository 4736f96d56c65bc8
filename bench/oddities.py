"""Effects of the quirks of the published code that need no training.

Usage: python bench/oddities.py STORE... (stores with true or separated stems)

Prints a Markdown table: how often masks leak from one crop of a pair into the other, how many
segments a drifting silence window labels differently, which share of crops a missing offset costs,
and how the level of a clip depends on its length. The effect on probe scores requires training
runs; docs/fidelity.md has the commands.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from mscol_cli.api import CropPlan, Crops, ObjectiveContext
from mscol_cli.contracts.levels import level_factor
from mscol_cli.store import ACTIVE_LEVEL, Store
from mscol_objectives.mws import MaskWarpShift
from mscol_objectives.options import MwsAugmentationOptions

PAIRS, BATCH = 32_000, 1_000
CONTEXT = ObjectiveContext(embedding_dim=1, crop_samples=15_920, start_grid=160)
Row = tuple[str, str]


def leak() -> Iterator[Row]:
    """Share of MWS pairs that overlap, and of crops and cells changed by leaking augmentations."""
    rng = np.random.default_rng(0)
    augment = {
        leak: MaskWarpShift(MwsAugmentationOptions(leak=leak), CONTEXT) for leak in (False, True)
    }
    overlapping, touched, cells = 0, 0, 0.0
    for _ in range(PAIRS // BATCH):
        plan = CropPlan({view: _crops(rng) for view in ("anchor", "positive")})
        drawn = augment[True].draw(plan, rng)
        overlapping += int((np.abs(drawn["distance"]) < 98).sum())
        labels = {name: torch.from_numpy(value) for name, value in drawn.items()}
        segments = torch.from_numpy(rng.standard_normal((BATCH, 392, 64), np.float32))
        views = {
            view: torch.stack([row[at : at + 98] for row, at in zip(segments, starts, strict=True)])
            for view, starts in ((v, (c.start // 160).tolist()) for v, c in plan.views.items())
        }
        results = [augment[leak].augment_features(views, labels) for leak in (False, True)]
        for view in views:
            other = (results[0][view] != results[1][view]).float()
            touched += int(other.amax((1, 2)).sum())
            cells += float(other.mean()) / 2 / (PAIRS // BATCH)
    yield "MWS pairs whose crops overlap", f"{overlapping / PAIRS:.1%}"
    yield "crops that a leaking mask or shift changes", f"{touched / (2 * PAIRS):.1%}"
    yield "log-mel cells it changes, over all crops", f"{cells:.2%}"


def _crops(rng: np.random.Generator) -> Crops:
    zeros = np.zeros(BATCH, np.int64)
    return Crops(zeros, zeros, rng.integers(0, 294, BATCH) * 160)


def drift(store: Store) -> Iterator[Row]:
    """Segments that are active by one silence rule and silent by the other."""
    index = store.index
    aligned, drifting = (
        level[:, 1:] > ACTIVE_LEVEL for level in (index.segment_level, index.published_level)
    )
    share = (aligned != drifting).mean(0)
    by_source = ", ".join(
        f"{name} {value:.1%}" for name, value in zip(index.sources[1:], share, strict=True)
    )
    what = f"{store.path.name}, {index.segments} segments: labelled differently by drifting windows"
    yield what, f"{(aligned != drifting).mean():.2%} ({by_source})"


def level() -> Iterator[Row]:
    """Level of a clip relative to a clip of 29.1 s with the same music."""
    for seconds in (4.0, 30.0, 240.0):
        samples = int(16_000 * seconds)
        gain = [
            float(level_factor("norm", 0.1 * math.sqrt(n), n))
            for n in (samples, int(16_000 * 29.1))
        ]
        yield (
            f"log-mel of a clip of {seconds:g} s against 29.1 s",
            f"{math.log(gain[0] / gain[1]):+.2f}",
        )


def rows(stores: list[Path]) -> Iterator[Row]:
    """Every measurement."""
    yield from leak()
    for path in stores:
        yield from drift(Store.open(path))
    yield "crops at the missing last offset", f"{1 / 295:.2%}"
    yield from level()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("stores", nargs="*", type=Path)
    print("| measured | value |\n|---|---|")
    for what, value in rows(parser.parse_args().stores):
        print(f"| {what} | {value} |", flush=True)


if __name__ == "__main__":
    main()
