"""Scores of a probe on corrupted test clips; the training clips are clean."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import astuple

from mscol_cli.audio import Corruption
from mscol_cli.contracts.progress import Progress
from mscol_cli.contracts.task import ProbeProtocol
from mscol_cli.engine.models import Model
from mscol_cli.probe.bootstrap import difference
from mscol_cli.probe.cache import embed_cached, open_cache
from mscol_cli.probe.classifier import TrainedProbe
from mscol_cli.probe.clips import EmbeddedTask, with_test
from mscol_cli.probe.result import CorruptedScore
from mscol_cli.probe.scores import ClipScores, resampled_pair
from mscol_cli.probe.scoring import members_among, score_clips, score_of
from mscol_cli.probe.settings import ProbeSettings


def score_corrupted(
    settings: ProbeSettings,
    probes: Sequence[TrainedProbe],
    embedded: EmbeddedTask,
    model: Model,
    clean: ClipScores,
    progress: Progress,
) -> tuple[CorruptedScore, ...]:
    """Score corrupted test clips, and the loss relative to the same clean clips.

    A corruption after which no clip can be embedded only causes a warning.
    """
    scores: list[CorruptedScore] = []
    for corruption in settings.corruptions:
        corrupted = _embed(embedded, model, corruption, progress)
        members = members_among(clean, corrupted)
        clip_scores = score_clips(settings.protocol, probes, corrupted, members, clean.classes)
        scores += losses(settings.protocol, clean, clip_scores, corruption.name)
    return tuple(scores)


def _embed(
    embedded: EmbeddedTask, model: Model, corruption: Corruption, progress: Progress
) -> EmbeddedTask:
    items = embedded.items["test"]
    progress.begin(corruption.name, len(items), "clip")
    paths = [item.path for item in items]
    with open_cache(model, corruption) as cache:
        embeddings = embed_cached(cache, model, paths, progress, corruption)
    progress.end()
    if embeddings.failures:
        reason = next(iter(embeddings.failures.values()))
        progress.warn(f"{corruption.name}: {len(embeddings.failures)} clips left out: {reason}")
    return with_test(embedded, embeddings)


def losses(
    protocol: ProbeProtocol, clean: ClipScores, corrupted: ClipScores, name: str
) -> Iterator[CorruptedScore]:
    """Loss in every test set and metric, on the clips that have clean and corrupted scores."""
    for test_set, rows in corrupted.members.items():
        for metric in protocol.metrics:
            scores, targets = corrupted.scores[:, rows], corrupted.targets[rows]
            score = score_of(metric, scores, targets, corrupted.resampled[test_set, metric])
            before, after, clips = resampled_pair(clean, corrupted, test_set, metric)
            loss = astuple(difference(before, after))
            yield CorruptedScore(name, test_set, metric, clips, score, *loss)
