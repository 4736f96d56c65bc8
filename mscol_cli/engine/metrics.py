"""Curves of a run: metrics.jsonl for scripts, TensorBoard's event files for eyes."""

from __future__ import annotations

import json
import math
import os
from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from mscol_cli import distributed
from mscol_cli.checkpoints.metrics import METRICS, read_metrics
from mscol_cli.files import write_text

__all__ = ["METRICS", "MetricsLog", "open_log", "read_metrics"]


def open_log(run: Path, start: int) -> AbstractContextManager[MetricsLog | None]:
    """The run's log for the first process; None for the others, which must not touch its files."""
    return closing(MetricsLog(run, start)) if distributed.rank() == 0 else nullcontext()


class MetricsLog:
    """Writes one line, and one point per curve, for each logged step."""

    def __init__(self, run: Path, start: int) -> None:
        """Continue a run's log after `start` updates; later lines of a lost stretch are dropped."""
        self._path = run / METRICS
        # Before the first update nothing is done but an online probe, which is then done again.
        _keep_until(self._path, start or -1)
        self._file = self._path.open("a", encoding="utf-8")
        self._board = SummaryWriter(str(run / "tensorboard"), purge_step=start + 1)

    def write(self, step: int, values: dict[str, float]) -> None:
        """Record the values of a step; those that are no numbers are left out."""
        values = {name: value for name, value in values.items() if math.isfinite(value)}
        self._file.write(json.dumps({"step": step, **values}) + "\n")
        self._file.flush()
        for name, value in values.items():
            self._board.add_scalar(name, value, step)

    def sync(self) -> None:
        """Wait until every line is on the disk."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Finish both files."""
        self._file.close()
        self._board.close()


def _keep_until(path: Path, step: int) -> None:
    kept = [line for line in read_metrics(path.parent) if line["step"] <= step]
    text = "".join(json.dumps(line) + "\n" for line in kept)
    if path.exists() and path.read_bytes() != text.encode():
        write_text(path, text)
