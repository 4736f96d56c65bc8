"""What a probe loses when its test clips, and they alone, are damaged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from mscol_cli.audio import Corruption
from mscol_cli.contracts.progress import Progress
from mscol_cli.contracts.task import ProbeProtocol
from mscol_cli.engine.models import Model
from mscol_cli.probe.bootstrap import difference
from mscol_cli.probe.cache import embed_cached
from mscol_cli.probe.classifier import TrainedProbe
from mscol_cli.probe.clips import EmbeddedTask, with_test
from mscol_cli.probe.result import CorruptedScore
from mscol_cli.probe.scores import ClipScores, members_among, resampled_pair, score_clips, score_of
from mscol_cli.probe.settings import ProbeSettings


def score_corrupted(
    settings: ProbeSettings,
    probes: Sequence[TrainedProbe],
    embedded: EmbeddedTask,
    model: Model,
    clean: ClipScores,
    device: torch.device,
    progress: Progress,
) -> tuple[CorruptedScore, ...]:
    """Scores of deformed test clips, and what was lost against the same clips as they are.

    A deformation that leaves no clip to be embedded costs a warning.
    """
    found: list[CorruptedScore] = []
    for deformation in settings.deformations:
        damaged = _embed(embedded, model, deformation, device, progress)
        members = members_among(clean, damaged)
        kept = score_clips(settings.protocol, probes, damaged, members, clean.classes)
        found += losses(settings.protocol, clean, kept, deformation.name)
    return tuple(found)


def _embed(
    embedded: EmbeddedTask,
    model: Model,
    deformation: Corruption,
    device: torch.device,
    progress: Progress,
) -> EmbeddedTask:
    items = embedded.items["test"]
    progress.begin(deformation.name, len(items), "clip")
    found = embed_cached(model, [item.path for item in items], device, progress, deformation)
    progress.end()
    if found.failures:
        reason = next(iter(found.failures.values()))
        progress.warn(f"{deformation.name}: {len(found.failures)} clips left out: {reason}")
    return with_test(embedded, found)


def losses(
    protocol: ProbeProtocol, clean: ClipScores, damaged: ClipScores, name: str
) -> Iterator[CorruptedScore]:
    """What is lost in every test set and metric, on the clips that both were scored on."""
    for test_set, rows in damaged.members.items():
        for metric in protocol.metrics:
            scores, targets = damaged.scores[:, rows], damaged.targets[rows]
            score = score_of(metric, scores, targets, damaged.resampled[test_set, metric])
            before, after, clips = resampled_pair(clean, damaged, test_set, metric)
            lost = difference(before, after)
            values = (lost.value, lost.low, lost.high, lost.p)
            yield CorruptedScore(name, test_set, metric, clips, score, *values)
