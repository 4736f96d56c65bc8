"""The classifiers of a probe, one a seed, by the way that its protocol names."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from mscol_cli.contracts.progress import Progress
from mscol_cli.contracts.task import ProbeProtocol
from mscol_cli.engine.models import Model
from mscol_cli.probe.classifier import TrainedProbe
from mscol_cli.probe.clips import EmbeddedTask, RandomCrops, same_windows
from mscol_cli.probe.fullbatch import train_full_batch
from mscol_cli.probe.minibatch import DrawEpoch, train_probe
from mscol_cli.probe.settings import ProbeSettings


def train_probes(
    settings: ProbeSettings,
    embedded: EmbeddedTask,
    model: Model,
    device: torch.device,
    progress: Progress,
) -> list[TrainedProbe]:
    """One classifier a seed; one in all where every seed would give the same."""
    probes = []
    progress.begin("classifiers", settings.classifiers, "seed")
    for seed in range(settings.classifiers):
        probes.append(train_one(settings.protocol, embedded, model, seed, device))
        progress.advance(valid=f"{probes[-1].valid_score:.3f}", epochs=str(probes[-1].epochs))
    progress.end()
    return probes


def train_one(
    protocol: ProbeProtocol,
    embedded: EmbeddedTask,
    model: Model,
    seed: int,
    device: torch.device,
) -> TrainedProbe:
    """The classifier of one seed."""
    if protocol.classifier != "published":
        return train_full_batch(protocol, *same_windows(embedded, device)(1), seed)
    draw: DrawEpoch = same_windows(embedded, device)
    if protocol.crops == "random":
        draw = RandomCrops(embedded, model, protocol, seed, device)
    return train_probe(protocol, draw, seed, device)


def weight_decays(protocol: ProbeProtocol, probes: Sequence[TrainedProbe]) -> tuple[float, ...]:
    """What was chosen on validation, where anything was."""
    chosen = protocol.classifier != "published"
    return tuple(probe.weight_decay for probe in probes) if chosen else ()


@contextmanager
def timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    """Note how long a stage takes."""
    start = time.monotonic()
    yield
    seconds[stage] = time.monotonic() - start
