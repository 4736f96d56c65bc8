"""Training of the classifiers of a probe, one per seed."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from mscol_cli.contracts.progress import Progress
from mscol_cli.contracts.task import ProbeProtocol
from mscol_cli.engine.models import Model
from mscol_cli.probe.classifier import TrainedProbe
from mscol_cli.probe.clips import EmbeddedTask, RandomCrops, same_windows
from mscol_cli.probe.fullbatch import train_full_batch
from mscol_cli.probe.metrics import METRICS
from mscol_cli.probe.minibatch import DrawEpoch, train_probe
from mscol_cli.probe.settings import ProbeSettings


def train_probes(
    settings: ProbeSettings, embedded: EmbeddedTask, model: Model, progress: Progress
) -> list[TrainedProbe]:
    """Train one classifier per seed, or a single one if all seeds would give the same."""
    probes = []
    progress.begin("classifiers", settings.classifiers, "seed")
    for seed in range(settings.classifiers):
        probes.append(train_one(settings.protocol, embedded, model, seed))
        progress.advance(valid=f"{probes[-1].valid_score:.3f}", epochs=str(probes[-1].epochs))
    progress.end()
    return probes


def train_one(
    protocol: ProbeProtocol, embedded: EmbeddedTask, model: Model, seed: int
) -> TrainedProbe:
    """Train the classifier of one seed, as set by the protocol's `classifier` and `crops`."""
    draw: DrawEpoch = same_windows(embedded, model.device)
    if protocol.classifier != "published":
        return train_full_batch(protocol, *draw(1), seed)
    if protocol.crops == "random":
        draw = RandomCrops(embedded, model, protocol, seed)
    return train_probe(protocol, draw, seed)


def weight_decays(protocol: ProbeProtocol, probes: Sequence[TrainedProbe]) -> tuple[float, ...]:
    """Weight decay of each classifier; empty for a protocol that does not choose it."""
    chosen = protocol.classifier != "published"
    return tuple(probe.weight_decay for probe in probes) if chosen else ()


def valid_scores(protocol: ProbeProtocol, probes: Sequence[TrainedProbe]) -> tuple[float, ...]:
    """The `select` metric of each classifier on validation clips."""
    rank = METRICS[protocol.select].rank
    return tuple(rank(probe.valid_score) for probe in probes)


@contextmanager
def timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    """Measure the duration of a stage, and store it in `seconds`."""
    start = time.monotonic()
    yield
    seconds[stage] = time.monotonic() - start
