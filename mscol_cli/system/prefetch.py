"""Bounded prefetching in threads."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from itertools import islice
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

DECODERS = min(8, os.cpu_count() or 1)
"""Threads that decode files ahead."""
_PAUSE, _MOMENT = 0.1, 0.002
_END = object()


def map_ahead(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int
) -> Iterator[Result]:
    """`map` in threads, with results in order and at most `workers` of them pending.

    An exception of `function` is raised in place of its result.
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


def streams_ahead(
    stream: Callable[[Item], Iterator[Result]], items: Iterable[Item], workers: int
) -> Iterator[tuple[Item, Iterator[Result]]]:
    """Open a stream for each item, in order, up to `workers` streams ahead.

    Each stream runs in its own thread, one result ahead of its reader, so memory is independent of
    the length of a stream. An exception is raised in place of the result.
    """
    remaining = iter(items)
    ahead: deque[tuple[Item, _Stream[Result]]] = deque()
    try:
        while True:
            opened = islice(remaining, workers + 1 - len(ahead))
            ahead.extend((item, _Stream(stream(item))) for item in opened)
            if not ahead:
                return
            item, results = ahead[0]
            yield item, iter(results)
            results.stop()
            ahead.popleft()
    finally:
        for _, results in ahead:
            results.stop()


class _Stream(Generic[Result]):
    """An iterator that runs in a thread, one result ahead."""

    def __init__(self, results: Iterator[Result]) -> None:
        self._queue: Queue[Any] = Queue(maxsize=1)
        self._stopped = Event()
        self._thread = Thread(target=self._run, args=(results,), daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[Result]:
        while (entry := self._queue.get()) is not _END:
            if isinstance(entry, BaseException):
                raise entry
            yield entry[0]

    def stop(self) -> None:
        """Discard unread results and wait for the thread to end."""
        self._stopped.set()
        while self._thread.is_alive():
            with suppress(Empty):
                self._queue.get_nowait()
            self._thread.join(_MOMENT)

    def _run(self, results: Iterator[Result]) -> None:
        try:
            for result in results:
                if not self._put((result,)):
                    break
            self._put(_END)
        except BaseException as error:  # raised again by the reader
            self._put(error)
        finally:
            close = getattr(results, "close", None)
            if close is not None:
                close()

    def _put(self, entry: Any) -> bool:
        while not self._stopped.is_set():
            try:
                self._queue.put(entry, timeout=_PAUSE)
            except Full:
                continue
            return True
        return False
