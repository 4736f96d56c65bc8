"""Means over updates, carried on by checkpoints: a resumed run logs what a whole one does."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

LOSS = "loss"
"""Never taken for absent: a loss that is NaN has to be seen."""


class Means:
    """Running means of named values, without making a GPU wait in between.

    A value that is NaN is absent from that update, such as the accuracy of a source that was not
    drawn: the mean is over the other updates, and a name without any has no mean.
    """

    def __init__(self, state: Mapping[str, Any] | None = None) -> None:
        """Start anew, or from another's `state`."""
        self._count = int(state["count"]) if state else 0
        self._sums: dict[str, Any] = dict(state["sums"]) if state else {}
        self._absent: dict[str, Any] = dict(state.get("absent", {})) if state else {}

    def add(self, values: Mapping[str, Tensor]) -> None:
        """Count one update."""
        for name, value in values.items():
            # A name that comes late was absent from the updates before.
            missed = self._absent.get(name, 0 if name in self._sums else self._count)
            absent = (
                torch.isnan(value) if name != LOSS else torch.zeros_like(value, dtype=torch.bool)
            )
            self._absent[name] = missed + absent
            self._sums[name] = self._sums.get(name, 0) + torch.where(absent, 0.0, value)
        self._count += 1

    def take(self) -> dict[str, float]:
        """The means; empty when nothing was added."""
        present = {name: self._count - int(self._absent.get(name, 0)) for name in self._sums}
        return {
            name: float(total) / present[name]
            for name, total in self._sums.items()
            if present[name]
        }

    def state(self) -> dict[str, Any]:
        """What JSON can hold, to go on from; exact, as every float32 is a float64."""
        sums = {name: float(total) for name, total in self._sums.items()}
        absent = {name: int(count) for name, count in self._absent.items()}
        return {"count": self._count, "sums": sums, "absent": absent}

    def __len__(self) -> int:
        """How many updates were counted."""
        return self._count


class Meter:
    """What is measured between two logged lines, and between two checkpoints.

    Attributes:
        shown: The last line's values that a progress bar has room for.
    """

    def __init__(self, batch_size: int, state: Mapping[str, Any] | None = None) -> None:
        """
        Args:
            batch_size: Pairs per update, over all processes.
            state: Of a meter to go on from.
        """
        self._batch_size = batch_size
        self.shown: dict[str, str] = {}
        self._line = Means(state["line"] if state else None)
        self._span = Means(state["span"] if state else None)
        self._waited = float(state["waited"]) if state else 0.0
        self._before = float(state["seconds"]) if state else 0.0
        self.begin()

    def begin(self) -> None:
        """Start the clock, which runs already, anew: what came before the first update is none of
        its time."""
        self._since = time.perf_counter() - self._before

    def waiting(self, batches: Any) -> Iterator[Any]:
        """Pass batches on, and count the time spent waiting for them."""
        iterator = iter(batches)
        while True:
            asked = time.perf_counter()
            batch = next(iterator, None)
            self._waited += time.perf_counter() - asked
            if batch is None:
                return
            yield batch

    def add(self, values: Mapping[str, Tensor]) -> None:
        """Count one update."""
        self._line.add(values)
        self._span.add({"loss": values["loss"]})

    def means(self) -> dict[str, float]:
        """Of every value, since the last line."""
        return self._line.take()

    def take(self) -> dict[str, float]:
        """Means, pairs per second and share of time waiting for data."""
        means = self.means()
        seconds = time.perf_counter() - self._since
        rate = len(self._line) * self._batch_size / seconds
        return {**means, "pairs_per_second": rate, "data_wait": self._waited / seconds}

    def go_on(self, shown: dict[str, str]) -> None:
        """Start the next line, after what took its time between the two."""
        self.shown = shown
        self._line, self._waited, self._before = Means(), 0.0, 0.0
        self.begin()

    def span_loss(self) -> float | None:
        """Mean loss since the last checkpoint of the schedule; None before any update."""
        return self._span.take().get("loss")

    def begin_span(self) -> None:
        """Such a checkpoint was made."""
        self._span = Means()

    def state(self) -> dict[str, Any]:
        """What JSON can hold, to go on from."""
        return {
            "line": self._line.state(),
            "span": self._span.state(),
            "waited": self._waited,
            "seconds": time.perf_counter() - self._since,
        }
