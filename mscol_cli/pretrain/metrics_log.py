"""Training metrics: means over steps, logged and saved in checkpoints."""

from __future__ import annotations

import json
import math
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from mscol_cli.runs.metrics import METRICS, read_metrics
from mscol_cli.system import distributed
from mscol_cli.system.files import without_links, write_text

LOSS = "loss"
"""Never treated as absent, so that a NaN loss is detected."""


class Means:
    """Running means of named values, without synchronising a GPU.

    An update may lack a value, such as the accuracy of a source that was not drawn: it is NaN, or
    the name is missing. The mean is over the other updates; a name without values has no mean.
    """

    def __init__(self, state: Mapping[str, Any] | None = None) -> None:
        """Start empty, or from a saved `state`."""
        self._count = int(state["count"]) if state else 0
        self._sums: dict[str, Any] = dict(state["sums"]) if state else {}
        self._absent: dict[str, Any] = dict(state.get("absent", {})) if state else {}

    def add(self, values: Mapping[str, Tensor]) -> None:
        """Count one update."""
        for name in self._sums.keys() - values.keys():
            self._absent[name] = self._absent.get(name, 0) + 1
        for name, value in values.items():
            # A new name was absent in all updates before.
            missed = self._absent.get(name, 0 if name in self._sums else self._count)
            absent = (
                torch.isnan(value) if name != LOSS else torch.zeros_like(value, dtype=torch.bool)
            )
            self._absent[name] = missed + absent
            self._sums[name] = self._sums.get(name, 0) + torch.where(absent, 0.0, value)
        self._count += 1

    def take(self) -> dict[str, float]:
        """The means by name; empty if nothing was added."""
        present = {name: self._count - int(self._absent.get(name, 0)) for name in self._sums}
        return {
            name: float(total) / present[name]
            for name, total in self._sums.items()
            if present[name]
        }

    def state(self) -> dict[str, Any]:
        """State for JSON, from which means continue exactly, as every float32 is a float64."""
        sums = {name: float(total) for name, total in self._sums.items()}
        absent = {name: int(count) for name, count in self._absent.items()}
        return {"count": self._count, "sums": sums, "absent": absent}

    def __len__(self) -> int:
        """Number of updates."""
        return self._count


class Meter:
    """Measures values between two logged lines, and between two checkpoints.

    Attributes:
        shown: Values of the last line that are shown beside the progress bar.
    """

    def __init__(self, batch_size: int, state: Mapping[str, Any] | None = None) -> None:
        """Start empty, or from a saved `state`.

        Args:
            batch_size: Pairs per update, over all processes.
            state: Saved state of a meter.
        """
        self._batch_size = batch_size
        self.shown: dict[str, str] = {}
        self._line = Means(state["line"] if state else None)
        self._span = Means(state["span"] if state else None)
        self._waited = float(state["waited"]) if state else 0.0
        self._before = float(state["seconds"]) if state else 0.0
        self.begin()

    def begin(self) -> None:
        """Restart the clock, so that time before the first update is not counted."""
        self._since = time.perf_counter() - self._before

    def waiting(self, batches: Any) -> Iterator[Any]:
        """Yield batches, and measure the time spent waiting for them."""
        iterator = iter(batches)
        while True:
            began = time.perf_counter()
            batch = next(iterator, None)
            self._waited += time.perf_counter() - began
            if batch is None:
                return
            yield batch

    def add(self, values: Mapping[str, Tensor]) -> None:
        """Count one update."""
        self._line.add(values)
        self._span.add({"loss": values["loss"]})

    def means(self) -> dict[str, float]:
        """Means of all values since the last line."""
        return self._line.take()

    def take(self) -> dict[str, float]:
        """Means, pairs per second and share of time waiting for data."""
        means = self.means()
        seconds = time.perf_counter() - self._since
        rate = len(self._line) * self._batch_size / seconds
        return {**means, "pairs_per_second": rate, "data_wait": self._waited / seconds}

    def start_line(self, shown: dict[str, str]) -> None:
        """Start the next line; time since `take` is not counted."""
        self.shown = shown
        self._line, self._waited, self._before = Means(), 0.0, 0.0
        self.begin()

    def span_loss(self) -> float | None:
        """Mean loss since the last scheduled checkpoint; None before the first update."""
        return self._span.take().get("loss")

    def begin_span(self) -> None:
        """Start the mean loss of the next scheduled checkpoint."""
        self._span = Means()

    def state(self) -> dict[str, Any]:
        """State for JSON, from which a meter continues."""
        return {
            "line": self._line.state(),
            "span": self._span.state(),
            "waited": self._waited,
            "seconds": time.perf_counter() - self._since,
        }


class MetricsLog:
    """Writes a line of metrics.jsonl and TensorBoard scalars for each logged step."""

    def __init__(
        self, run: Path, start: int, settings: Mapping[str, Any], warn: Callable[[str], None]
    ) -> None:
        """Continue a run's log after `start` updates, and drop later lines.

        Args:
            run: The run folder.
            start: Number of completed updates.
            settings: Settings by dotted name, for TensorBoard's HPARAMS tab.
            warn: Receives a warning if TensorBoard's files cannot be written.
        """
        self._path = run / METRICS
        # Before the first update only an online probe is logged, which is repeated.
        _keep_until(self._path, start or -1)
        self._file = open(self._path, "a", encoding="utf-8", opener=without_links)  # noqa: SIM115
        self._board = _Board(run / "tensorboard", start, settings, warn)

    def write(self, step: int, values: dict[str, float]) -> None:
        """Write the finite values of a step."""
        values = {name: value for name, value in values.items() if math.isfinite(value)}
        self._file.write(json.dumps({"step": step, **values}) + "\n")
        self._file.flush()
        self._board.write(step, values)

    def finish(self) -> None:
        """Mark the run as finished in TensorBoard, which uses the first mark it reads."""
        self._board.finish()

    def sync(self) -> None:
        """Flush all lines to disk."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close both files."""
        self._file.close()
        self._board.close()


class _Board:
    """TensorBoard's event files. Training does not need them: the first error is a warning, and
    nothing more is written."""

    def __init__(
        self, folder: Path, start: int, settings: Mapping[str, Any], warn: Callable[[str], None]
    ) -> None:
        self._folder, self._warn = folder, warn
        self._writer: SummaryWriter | None = None
        self._hook = threading.excepthook
        threading.excepthook = self._on_thread_error
        # The summary of the experiment is not written: TensorBoard then builds one from the
        # settings and metrics of all runs. torch has no types for hparams.
        _, began, self._finished = hparams(_hparams(settings), {})  # type: ignore[no-untyped-call]
        with self._or_warning():
            self._writer = SummaryWriter(str(folder), purge_step=start + 1)
            self._add(began)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        with self._or_warning():
            for name, value in values.items():
                if self._writer is not None:
                    self._writer.add_scalar(name, value, step)

    def finish(self) -> None:
        with self._or_warning():
            self._add(self._finished)

    def close(self) -> None:
        with self._or_warning():
            if self._writer is not None:
                self._writer.close()
        threading.excepthook = self._hook

    def _add(self, summary: Any) -> None:
        if self._writer is not None and self._writer.file_writer is not None:
            self._writer.file_writer.add_summary(summary)

    @contextmanager
    def _or_warning(self) -> Iterator[None]:
        try:
            yield
        # A full disk, a folder that was removed, and what TensorBoard raises for them.
        except Exception as error:
            self._writer = None
            reason = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
            self._warn(
                f"{self._folder} cannot be written ({reason}); training continues without it."
            )

    def _on_thread_error(self, error: threading.ExceptHookArgs) -> None:
        # TensorBoard writes in a thread and raises its error again in the next call.
        if not type(error.thread).__module__.startswith("tensorboard."):
            self._hook(error)


def open_log(
    run: Path, start: int, settings: Mapping[str, Any], warn: Callable[[str], None]
) -> AbstractContextManager[MetricsLog | None]:
    """Open the run's log in the first process; None in the others, which must not write to it."""
    if distributed.rank() != 0:
        return nullcontext()
    return closing(MetricsLog(run, start, settings, warn))


def _hparams(settings: Mapping[str, Any]) -> dict[str, float | str]:
    """Settings with types that TensorBoard accepts, without empty values."""
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
