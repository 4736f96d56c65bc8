"""The result of stem retrieval: scores with intervals over tracks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from mscol_cli.contracts.plans import MIXTURE
from mscol_cli.contracts.progress import Progress
from mscol_cli.contracts.task import StemRetrieval
from mscol_cli.engine.models import Model
from mscol_cli.probe.baselines import CHANCE
from mscol_cli.probe.bootstrap import resample_all
from mscol_cli.probe.groups import ClipGroups
from mscol_cli.probe.leakage import store_note
from mscol_cli.probe.metrics import CUTOFFS, METRICS
from mscol_cli.probe.rank_metrics import COLUMNS, chance
from mscol_cli.probe.result import ClassScore, ProbeResult, ScoredSet
from mscol_cli.probe.retrieval import Query, Retrieved, retrieve
from mscol_cli.probe.scores import ClipScores
from mscol_cli.probe.scoring import score_of
from mscol_cli.probe.settings import ProbeSettings
from mscol_cli.store import Store

TEST_SET = "test"


def retrieve_stems(
    settings: ProbeSettings,
    task: StemRetrieval,
    folder: Path,
    model: Model,
    progress: Progress,
) -> tuple[ProbeResult, ClipScores]:
    """Retrieve the stems of a store with a frozen encoder.

    Raises:
        UsageError: The store has fewer than two sources.
        MissingDataError: The store does not exist, or has nothing to retrieve.
    """
    store = Store.open(folder)
    retrieved = retrieve(store, task, model, progress)
    scores = _clip_scores(store, retrieved, settings.protocol.metrics)
    result = ProbeResult(
        **settings.describe(folder, model),
        seeds=0,
        test_sets=(_scored_set(store, retrieved, scores, settings.protocol.metrics),),
        counts={TEST_SET: len(retrieved.queries)},
        windows={TEST_SET: retrieved.windows},
        classes=(),
        failures=tuple(retrieved.failures),
        notes=tuple(_notes(store, task, retrieved, model)),
    )
    return result, scores


def _clip_scores(store: Store, retrieved: Retrieved, metrics: Sequence[str]) -> ClipScores:
    index, ranks = store.index, retrieved.ranks[None]
    tracks = [query.target.track for query in retrieved.queries]
    targets = np.ones(retrieved.ranks.shape, dtype=bool)
    groups = ClipGroups("track", tuple(index.track_ids[track] for track in tracks))
    drawn = resample_all(metrics, ranks, targets, groups.numbers(range(len(tracks))))
    return ClipScores(
        ids=[_name(store, query) for query in retrieved.queries],
        classes=COLUMNS,
        scores=ranks,
        targets=targets,
        members={TEST_SET: np.ones(len(tracks), dtype=bool)},
        resampled={(TEST_SET, metric): values for metric, values in drawn.items()},
        groups=groups,
    )


def _name(store: Store, query: Query) -> str:
    index = store.index
    given = "+".join(index.sources[source] for source in query.given.sources)
    return f"{index.track_ids[query.target.track]}: {given} > {_target(store, query)}"


def _target(store: Store, query: Query) -> str:
    return store.index.sources[query.target.sources[0]]


def _scored_set(
    store: Store, retrieved: Retrieved, scores: ClipScores, metrics: Sequence[str]
) -> ScoredSet:
    candidates = retrieved.ranks[:, COLUMNS.index("candidates")]
    return ScoredSet(
        name=TEST_SET,
        clips=len(retrieved.queries),
        metrics={
            metric: score_of(
                metric, scores.scores, scores.targets, scores.resampled[TEST_SET, metric]
            )
            for metric in metrics
        },
        classes=tuple(_by_source(store, retrieved, metrics)),
        unit="queries",
        grouped_by=scores.groups.kind,
        groups=scores.groups.count(range(len(candidates))),
        baselines={CHANCE: {metric: chance(candidates, CUTOFFS[metric]) for metric in metrics}},
    )


def _by_source(store: Store, retrieved: Retrieved, metrics: Sequence[str]) -> Iterator[ClassScore]:
    of_source = np.array([_target(store, query) for query in retrieved.queries])
    for name in store.index.sources:
        rows = of_source == name
        if name == MIXTURE:
            continue
        ranks = retrieved.ranks[rows]
        values = {
            metric: METRICS[metric].score(ranks, np.ones(ranks.shape, dtype=bool))
            if len(ranks)
            else None
            for metric in metrics
        }
        yield ClassScore(name, len(ranks), values)


def _notes(store: Store, task: StemRetrieval, retrieved: Retrieved, model: Model) -> Iterator[str]:
    if task.similarity == "cosine":
        yield "stems are compared by the cosine of clip embeddings, also for a learned similarity"
    else:
        yield "stems are compared by the similarity that the objective has learned"
    silent = {name: count for name, count in retrieved.silent.items() if count}
    if silent:
        counted = ", ".join(f"{name} {count:,}" for name, count in silent.items())
        yield f"silent stems, left out ({sum(silent.values()):,}): {counted}"
    if retrieved.alone:
        yield f"queries without a second candidate, left out ({retrieved.alone:,})"
    yield from store_note(model, store)
