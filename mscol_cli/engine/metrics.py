"""Curves of a run: metrics.jsonl for scripts, TensorBoard's event files for eyes."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from mscol_cli import distributed
from mscol_cli.checkpoints.metrics import METRICS, read_metrics
from mscol_cli.files import write_text

__all__ = ["METRICS", "MetricsLog", "open_log", "read_metrics"]


def open_log(
    run: Path, start: int, settings: Mapping[str, Any] | None = None
) -> AbstractContextManager[MetricsLog | None]:
    """The run's log for the first process; None for the others, which must not touch its files."""
    if distributed.rank() != 0:
        return nullcontext()
    return closing(MetricsLog(run, start, settings or {}))


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
