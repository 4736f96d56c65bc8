"""Training metrics: means over steps, checked, logged, and carried on by checkpoints."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from mscol_cli.runs.metrics import METRICS, read_metrics
from mscol_cli.system import distributed
from mscol_cli.system.files import write_text

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
        """Begin to count.

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


class MetricsLog:
    """Writes one line, and one point per curve, for each logged step."""

    def __init__(self, run: Path, start: int, settings: Mapping[str, Any]) -> None:
        """Continue a run's log after `start` updates; later lines of a lost stretch are dropped.

        Args:
            run: The run folder.
            start: Updates done.
            settings: By dotted name, what TensorBoard's HPARAMS tab shows beside the last values.
        """
        self._path = run / METRICS
        # Before the first update nothing is done but an online probe, which is then done again.
        _keep_until(self._path, start or -1)
        self._file = self._path.open("a", encoding="utf-8")
        self._board = SummaryWriter(str(run / "tensorboard"), purge_step=start + 1)
        # Without the summary that describes an experiment: TensorBoard then makes one of all runs
        # that it sees, with every setting and every metric of any of them.
        # torch gives it no types.
        _, began, self._finished = hparams(_hparams(settings), {})  # type: ignore[no-untyped-call]
        self._add(began)

    def write(self, step: int, values: dict[str, float]) -> None:
        """Record the values of a step; those that are no numbers are left out."""
        values = {name: value for name, value in values.items() if math.isfinite(value)}
        self._file.write(json.dumps({"step": step, **values}) + "\n")
        self._file.flush()
        for name, value in values.items():
            self._board.add_scalar(name, value, step)

    def finish(self) -> None:
        """Mark the run as finished in TensorBoard, which takes the first mark that it reads."""
        self._add(self._finished)

    def _add(self, summary: Any) -> None:
        if self._board.file_writer is not None:
            self._board.file_writer.add_summary(summary)

    def sync(self) -> None:
        """Wait until every line is on the disk."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Finish both files."""
        self._file.close()
        self._board.close()


def open_log(
    run: Path, start: int, settings: Mapping[str, Any] | None = None
) -> AbstractContextManager[MetricsLog | None]:
    """The run's log for the first process; None for the others, which must not touch its files."""
    if distributed.rank() != 0:
        return nullcontext()
    return closing(MetricsLog(run, start, settings or {}))


def _hparams(settings: Mapping[str, Any]) -> dict[str, float | str]:
    """Settings as TensorBoard takes them; those without a value are left out."""
    return {
        name: value
        if isinstance(value, (int, float, str)) and not isinstance(value, bool)
        else str(value)
        for name, value in settings.items()
        if value not in (None, "", [])
    }


def _keep_until(path: Path, step: int) -> None:
    kept = [line for line in read_metrics(path.parent) if line["step"] <= step]
    text = "".join(json.dumps(line) + "\n" for line in kept)
    if path.exists() and path.read_bytes() != text.encode():
        write_text(path, text)
