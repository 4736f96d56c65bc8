"""Stem retrieval: which stem of a store belongs to the other stems of its track?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, compress

import numpy as np

from mscol_cli.audio import resample_array
from mscol_cli.contracts.plans import MIXTURE, IntArray
from mscol_cli.contracts.progress import Progress
from mscol_cli.contracts.task import StemRetrieval
from mscol_cli.engine.embedding import Clip, embed_clips
from mscol_cli.engine.models import Model
from mscol_cli.errors import BadInputError, MissingDataError, UsageError
from mscol_cli.probe.rank_metrics import COLUMNS
from mscol_cli.probe.similarity import ClipVectors, Vectors, clip_vectors
from mscol_cli.probe.windows import BoolArray, FloatArray
from mscol_cli.store import ACTIVE_LEVEL, SAMPLE_RATE, Store

TIE = 1e-9
"""Similarities that differ by less, relative to the largest, are equal up to rounding."""
NO_RANKS = np.empty((0, len(COLUMNS)))
BLOCK_BYTES = 1 << 28
"""Memory of the similarities of some queries with all stems."""


@dataclass(frozen=True)
class Part:
    """Some sources of a track, which are mixed and embedded.

    Attributes:
        track: Row of the track in the store.
        sources: Rows of the sources.
    """

    track: int
    sources: tuple[int, ...]


@dataclass(frozen=True)
class Query:
    """A part of a track, and the source that belongs to it."""

    given: Part
    target: Part


@dataclass(frozen=True)
class Retrieved:
    """Ranks of the targets of all queries.

    Attributes:
        queries: The queries.
        ranks: (queries, 3) `COLUMNS` of the targets.
        windows: Number of embedded windows.
        silent: Number of silent stems, which are left out, by source.
        alone: Number of queries without a second candidate, which are left out.
        failures: Track and reason of each track that could not be embedded.
    """

    queries: Sequence[Query]
    ranks: FloatArray
    windows: int
    silent: dict[str, int]
    alone: int
    failures: Sequence[tuple[str, str]]


def retrieve(store: Store, task: StemRetrieval, model: Model, progress: Progress) -> Retrieved:
    """Embed stems and queries, and rank all candidates of each query by similarity.

    Raises:
        UsageError: The store has fewer than two sources, or the model no learned similarity.
        MissingDataError: Fewer than two tracks have stems to retrieve.
    """
    sounds = find_sounding(store)
    queries = make_queries(sounds, task.query)
    stems = [Part(track, (source,)) for track, source in np.argwhere(sounds).tolist()]
    parts = list(dict.fromkeys(chain(stems, (query.given for query in queries))))
    as_vectors = clip_vectors(task.similarity, model)
    vectors, windows, failures = _embed(store, parts, model, as_vectors, progress)
    failed = {track for track, _ in failures}
    kept = [query for query in queries if query.given.track not in failed]
    stems = [part for part in stems if part.track not in failed]
    same_source = task.candidates == "source"
    ranks = rank_targets(kept, stems, vectors, same_source=same_source) if kept else NO_RANKS
    # The target would be the first of one, and its normalised rank 0 / 0.
    has_rivals = ranks[:, 1] > 1
    alone, ranks = int((~has_rivals).sum()), ranks[has_rivals]
    tracks = {query.target.track for query in kept}
    kept = list(compress(kept, has_rivals))
    if len({query.target.track for query in kept}) < 2:
        lack = "fewer than two tracks in which two sources sound"
        if len(tracks) > 1:
            lack = "no two tracks with the same source beside another one"
        raise MissingDataError(f"{store.path} has {lack}: there is nothing to retrieve.")
    names = [name for name in store.index.sources if name != MIXTURE]
    silent = {name: int((~sounds[:, store.index.sources.index(name)]).sum()) for name in names}
    named = [(store.index.track_ids[track], reason) for track, reason in failures]
    return Retrieved(kept, ranks, windows, silent, alone, named)


def find_sounding(store: Store) -> BoolArray:
    """(tracks, sources) whether a source sounds in any segment; never for the mixture.

    Raises:
        UsageError: The store has fewer than two sources.
    """
    index = store.index
    if len(index.sources) < 3:
        raise UsageError(f"{store.path} has fewer than two sources: separate its music first.")
    sounds = np.zeros((len(index.track_ids), len(index.sources)), dtype=bool)
    np.logical_or.at(sounds, index.segment_track, index.segment_level > ACTIVE_LEVEL)
    sounds[:, index.sources.index(MIXTURE)] = False
    return sounds


def make_queries(sounds: BoolArray, kind: str) -> list[Query]:
    """Queries for every source that sounds together with others.

    Args:
        sounds: (tracks, sources).
        kind: `rest`, one query per target from the mixture of all others, or `stem`, one from each
            of them.
    """
    queries = []
    for track, target in np.argwhere(sounds).tolist():
        others = [source for source in np.flatnonzero(sounds[track]).tolist() if source != target]
        given = [tuple(others)] if kind == "rest" and others else [(source,) for source in others]
        queries += [Query(Part(track, some), Part(track, (target,))) for some in given]
    return queries


def rank_targets(
    queries: Sequence[Query],
    stems: Sequence[Part],
    vectors: dict[Part, Vectors],
    *,
    same_source: bool,
) -> FloatArray:
    """Rank the target of each query among its candidates by inner product; equal ones share a rank.

    Stems that a query consists of are not among its candidates.

    Args:
        queries: The queries.
        stems: All stems that sound.
        vectors: Vectors (dim,) of stems and queries, as a query and as a candidate.
        same_source: Whether candidates are of the target's source only.

    Returns:
        (queries, 3) `COLUMNS`.
    """
    matrix = np.stack([vectors[stem][1] for stem in stems])
    position = {stem: number for number, stem in enumerate(stems)}
    source = np.array([stem.sources[0] for stem in stems])
    every = np.arange(len(stems))
    of_source = {one: np.flatnonzero(source == one) for one in np.unique(source).tolist()}
    ranks = np.empty((len(queries), len(COLUMNS)))
    block = max(1, BLOCK_BYTES // matrix[:, 0].nbytes)
    for begin in range(0, len(queries), block):
        some = queries[begin : begin + block]
        similarities = np.stack([vectors[query.given][0] for query in some]) @ matrix.T
        for row, (query, of_query) in enumerate(zip(some, similarities, strict=True), begin):
            target = position[query.target]
            candidates = of_source[int(source[target])] if same_source else every
            given = [Part(query.given.track, (one,)) for one in query.given.sources]
            rows = [position[part] for part in given if part in position]
            left_out = [one for one in rows if not same_source or source[one] == source[target]]
            ranks[row] = _rank(of_query, target, candidates, np.array(left_out, dtype=np.int64))
    return ranks


def _rank(
    similarities: FloatArray, target: int, candidates: IntArray, left_out: IntArray
) -> tuple[float, int, int]:
    """`COLUMNS` of the target among the candidates but those left out."""
    tie = TIE * np.abs(similarities).max()

    def count(rows: IntArray) -> IntArray:
        gap = similarities[rows] - similarities[target]
        return np.array([(gap > tie).sum(), (np.abs(gap) <= tie).sum(), len(gap)])

    above, equal, number = (count(candidates) - count(left_out)).tolist()
    return 1 + above + (equal - 1) / 2, number, equal  # the target is equal to itself


def _embed(
    store: Store,
    parts: Sequence[Part],
    model: Model,
    as_vectors: ClipVectors,
    progress: Progress,
) -> tuple[dict[Part, Vectors], int, list[tuple[int, str]]]:
    """Vectors by part; the number of windows; rows and reasons of failed tracks."""
    progress.begin("embedding", len(parts), "clip")
    vectors: dict[Part, Vectors] = {}
    failures: dict[int, str] = {}
    windows = 0
    clips = _clips(store, parts, model.encoder.sample_rate)
    results = embed_clips(model.encoder, clips, device=model.device)
    for part, result in zip(parts, results, strict=True):
        if isinstance(result, BadInputError):
            failures.setdefault(part.track, str(result))
        else:
            vectors[part] = as_vectors(result.windows)
            windows += len(result.windows)
        progress.advance()
    progress.end()
    return vectors, windows, list(failures.items())


def _clips(store: Store, parts: Sequence[Part], sample_rate: int) -> Iterator[Clip]:
    index = store.index
    for part in parts:
        mixture = sum(store.waveform(part.track, source) for source in part.sources)
        names = " + ".join(index.sources[source] for source in part.sources)
        waveform = resample_array(np.asarray(mixture, np.float32), SAMPLE_RATE, sample_rate)
        yield Clip(f"{index.track_ids[part.track]}, {names}", waveform)
