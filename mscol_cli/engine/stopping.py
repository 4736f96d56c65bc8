"""Signals as requests that the training loop honours between two updates."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, cast

import torch
import torch.distributed as dist

from mscol_cli import distributed
from mscol_cli.launched import STOPPING

SIGNALS = (signal.SIGINT, *STOPPING)


class StopRequest:
    """Whether someone asked to stop; a second Ctrl-C stops at once."""

    def __init__(self) -> None:
        self._asked = False
        self._before: dict[int, Any] = {}
        self._flag = torch.zeros(1)
        self._vote: dist.Work | None = None
        # Flags of all processes meet on the hosts: on a GPU they would wait for its whole queue.
        many = distributed.world_size() > 1
        self._group = cast(dist.ProcessGroup, dist.new_group(backend="gloo")) if many else None

    def __enter__(self) -> StopRequest:
        # Only the main thread may set handlers; elsewhere (a test, a notebook) there are none.
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._ask) for number in SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None and self._vote is not None:
            self._vote.wait()
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def agreed(self) -> bool:
        """Whether any process was asked; every process must call this after every update.

        With several processes a request is honoured one update late: what each was asked travels
        while the next update is made, so that no update waits for it.
        """
        if self._group is None:
            return self._asked
        found = self._vote is not None and self._vote.wait() and bool(self._flag.item())
        self._flag = torch.tensor([float(self._asked)])
        self._vote = dist.all_reduce(self._flag, dist.ReduceOp.MAX, self._group, async_op=True)
        return found

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self._asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        self._asked = True
