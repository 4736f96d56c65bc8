"""Networks as they are before the first update, the crops to train them on, and what a run logs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from mscol_cli.engine.models import build_encoder, build_objective
from mscol_cli.host import find_objective, find_part, load_registry
from mscol_cli.pretrain.batches import CropSource
from mscol_cli.pretrain.step import Pretraining
from mscol_cli.store import Store


def networks(
    objective: str, encoder: str = "small", precision: torch.dtype = torch.float32
) -> Pretraining:
    """An encoder with an objective, both of seed 0."""
    registry = load_registry()
    network = build_encoder(find_part(registry, "encoder", encoder), seed=0)
    task = build_objective(find_objective(registry, objective), network, seed=0)
    return Pretraining(network, task, precision)


def crops(
    store: Path, pretraining: Pretraining, seed: int = 0, store_on: str = "host"
) -> CropSource:
    """Batches of eight pairs."""
    encoder, objective = pretraining.encoder, pretraining.objective
    opened, level = Store.open(store), encoder.level
    return CropSource(opened, objective, 8, encoder.crop_samples, level, seed, store_on)


def metrics(run: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl."""
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
