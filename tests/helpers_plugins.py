"""A plugin that is installed for one test: a module, and the metadata that names it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

COLLAPSING = """
import numpy as np
from mscol_cli.api import CropPlan, Crops, Objective, ObjectiveCard, hookimpl


def reported(loss):
    return {}


def _build(options, context):
    class Alike(Objective):
        def plan(self, index, rng, batch_size):
            segment = rng.integers(0, index.segments, batch_size)
            track, start = index.segment_track[segment], index.segment_start[segment]
            crops = Crops(track, np.zeros_like(track), start)
            return CropPlan({"anchor": crops, "positive": crops})

        def loss(self, embeddings, labels):
            loss = (embeddings["anchor"] - 1).square().mean()
            return loss, reported(loss)

    return Alike()


@hookimpl
def mscol_objectives():
    return [ObjectiveCard(name="alike", summary="all embeddings are to be ones", build=_build)]
"""


def install_plugin(name: str, code: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let mscol find `code` as the module `name`, as if its distribution were installed."""
    place = folder / f"{name}-1.dist-info"
    place.mkdir(parents=True)
    (place / "entry_points.txt").write_text(f"[mscol]\n{name} = {name}\n")
    (place / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
    (folder / f"{name}.py").write_text(code)
    monkeypatch.delitem(sys.modules, name, raising=False)  # of an earlier test
    monkeypatch.syspath_prepend(str(folder))
