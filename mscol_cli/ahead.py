"""Work done ahead of whoever needs its result, and never far ahead."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_ahead(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int
) -> Iterator[Result]:
    """`map` in threads: results in order, at most `workers` of them waiting or being made.

    An exception of `function` is raised where its result was due.
    """
    remaining = iter(items)
    pool = ThreadPoolExecutor(max_workers=workers)
    try:
        ahead: deque[Future[Result]] = deque(
            pool.submit(function, item) for item in islice(remaining, workers)
        )
        while ahead:
            result = ahead.popleft().result()
            ahead.extend(pool.submit(function, item) for item in islice(remaining, 1))
            yield result
    finally:
        pool.shutdown(cancel_futures=True)
