"""similar: queries -> vectors -> nearest clips of a folder of vectors."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mscol_cli.contracts.progress import Progress
from mscol_cli.errors import BadInputError, UsageError
from mscol_cli.similar.library import Library
from mscol_cli.similar.query import Query, find_query, stored_vector
from mscol_cli.similar.request import SimilarRequest
from mscol_cli.similar.search import FloatArray, Match, nearest
from mscol_cli.system.outcomes import Failures, nothing_usable

if TYPE_CHECKING:
    from mscol_cli.similar.embedding import QueryEmbedder


@dataclass(frozen=True)
class Neighbour:
    """A clip near a query.

    Attributes:
        id: Id of the clip.
        path: Its file, or the store that has the track `id`.
        similarity: Cosine similarity, that of the nearest window in a folder of windows.
        start_s: Start of this window in seconds; None in a folder with one vector per clip.
    """

    id: str
    path: Path
    similarity: float
    start_s: float | None = None


@dataclass(frozen=True)
class Answer:
    """The neighbours of a query.

    Attributes:
        query: The query as it was given.
        id: Id of the same clip in the folder; None if the folder does not have it.
        at_s: Moment in seconds; None for the complete clip.
        neighbours: Nearest clips, nearest first.
    """

    query: str
    id: str | None
    at_s: float | None
    neighbours: Sequence[Neighbour]


@dataclass(frozen=True)
class SimilarResult:
    """Result of `mscol similar`.

    Attributes:
        folder: The folder of vectors.
        model: Name of its model.
        clips: Number of clips that were searched.
        answers: One for each query that could be used, in their order.
        failures: Queries that could not be used, with the reason.
        search_seconds: Duration of the search, without opening the folder and embedding.
        seconds: Duration.
    """

    folder: Path
    model: str
    clips: int
    answers: Sequence[Answer]
    failures: Failures = field(default_factory=list)
    search_seconds: float = 0.0
    seconds: float = 0.0


def run(request: SimilarRequest, progress: Progress) -> SimilarResult:
    """Find the nearest clips of each query.

    Raises:
        UsageError: The count is not positive, or the model is not that of the folder.
        MissingDataError: The folder has no vectors, or its model is needed and does not exist.
        BadInputError: No query could be used.
    """
    begun = time.monotonic()
    if request.count < 1:
        raise UsageError(f"-k must be 1 or more, not {request.count}.")
    library = Library.open(request.folder)
    embed = _Embed(library, request, progress)
    embedded: list[tuple[Query, FloatArray]] = []
    failures: Failures = []
    for text in request.queries:
        try:
            query = find_query(text, library)
            embedded.append((query, embed(query)))
        except BadInputError as error:
            failures.append((text, str(error)))
    if not embedded:
        raise nothing_usable(failures, len(request.queries))
    for _, reason in failures:
        progress.warn(f"skipped {reason}")
    searched = time.monotonic()
    answers = _answers(library, embedded, request.count)
    return SimilarResult(
        folder=request.folder,
        model=library.folder.header.model,
        clips=len(library.entries),
        answers=answers,
        failures=failures,
        search_seconds=time.monotonic() - searched,
        seconds=time.monotonic() - begun,
    )


@dataclass
class _Embed:
    """Looks the vector of a query up, or computes it."""

    library: Library
    request: SimilarRequest
    progress: Progress

    def __call__(self, query: Query) -> FloatArray:
        vector = stored_vector(query, self.library)
        return self._embedder.embed(query) if vector is None else vector

    @cached_property
    def _embedder(self) -> QueryEmbedder:
        # Loads torch, which takes longer than a search.
        from mscol_cli.similar.embedding import QueryEmbedder

        return QueryEmbedder(self.library, self.request.model, self.request.device, self.progress)


def _answers(
    library: Library, embedded: Sequence[tuple[Query, FloatArray]], count: int
) -> list[Answer]:
    excluded = [() if query.clip is None else (query.clip,) for query, _ in embedded]
    vectors = np.stack([vector for _, vector in embedded])
    matches = nearest(library.vectors, vectors, count, excluded)
    return [
        _answer(library, query, found) for (query, _), found in zip(embedded, matches, strict=True)
    ]


def _answer(library: Library, query: Query, matches: Sequence[Match]) -> Answer:
    neighbours = [
        Neighbour(
            library.entries[match.clip].id,
            Path(library.entries[match.clip].path),
            round(match.similarity, 6),
            library.start_s(match.row),
        )
        for match in matches
    ]
    own = None if query.clip is None else library.entries[query.clip].id
    return Answer(query.text, own, query.at_s, neighbours)
