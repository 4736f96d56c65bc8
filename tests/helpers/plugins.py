"""A plugin that is installed for one test: a module, and the metadata that names it."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

import pytest

from mscol_cli.host import registry

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


WHOLE = """
import os, sys
from pathlib import Path
import numpy as np
import torch
from mscol_cli.api import *


class Pretext(Objective):
    def plan(self, index, rng, batch_size):
        zero = np.zeros(batch_size, np.int64)
        crops = Crops(zero, zero, zero)
        return CropPlan({"anchor": crops, "positive": crops}, {"mask": np.zeros((batch_size, 2))})

    def loss(self, embeddings, labels):
        return embeddings["anchor"].square().mean(), {}


class Net(Encoder):
    sample_rate, crop_samples, window_hop, start_grid, dim = 16000, 15920, 15680, 160, 8

    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(8, 8)

    def frontend(self, waveforms):
        return waveforms[:, :8]

    def forward(self, features):
        return self.linear(features)


class Halves(Separator):
    sources = ("low", "high")

    def separate(self, audio):
        mixture = audio[MIXTURE]
        return {MIXTURE: mixture, "low": mixture / 2, "high": mixture / 2}


class Clips(Task):
    classes, labels, split, test_sets = ("a", "b"), (0,), "test", {}

    def load(self, folder):
        items = [TaskItem(str(row), Path("x"), self.split, self.labels) for row in range(2)]
        return TaskData(self.classes, items, test_sets=self.test_sets)


class Reader(Importer):
    def claims(self, path):
        return path.suffix == ".foreign"

    def read(self, path):
        part = ImportedPart("small", {}, {})
        return ImportedModel(part, ImportedPart("cola", {}, {}), 0, [path], 0)


@hookimpl
def mscol_objectives():
    return [ObjectiveCard("pretext", "a pretext task", lambda options, context: Pretext())]


@hookimpl
def mscol_encoders():
    return [EncoderCard("net", "a network", lambda options: Net())]


@hookimpl
def mscol_separators():
    return [SeparatorCard("halves", "twice the half", lambda options, context: Halves())]


@hookimpl
def mscol_tasks():
    return [TaskCard("clips", "two clips", lambda options: Clips())]


@hookimpl
def mscol_importers():
    return [ImporterCard("reader", "a reader", lambda options: Reader())]
"""
"""A plugin with a part of every kind, which keeps to the contracts; tests append what breaks it."""


def install_plugin(name: str, code: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let mscol find `code` as the module `name`, as if its distribution were installed."""
    write_plugin(name, code, folder)
    monkeypatch.delitem(sys.modules, name, raising=False)  # of an earlier test
    monkeypatch.syspath_prepend(str(folder))
    reload_registry(monkeypatch)


def reload_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Load plugins again: the registry has only those installed when it was loaded."""
    monkeypatch.setattr(registry, "_installed", cache(registry._installed.__wrapped__))


def write_plugin(name: str, code: str, folder: Path) -> None:
    """Write `code` as the module `name` with the metadata of its distribution, version 1."""
    place = folder / f"{name}-1.dist-info"
    place.mkdir(parents=True)
    (place / "entry_points.txt").write_text(f"[mscol]\n{name} = {name}\n", encoding="utf-8")
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n"
    (place / "METADATA").write_text(metadata, encoding="utf-8")
    (folder / f"{name}.py").write_text(code, encoding="utf-8")
