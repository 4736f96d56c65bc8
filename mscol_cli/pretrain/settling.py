"""Settling of the mode of a run: `auto` must never be worse than eager float32."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import torch

from mscol_cli.contracts.progress import Progress
from mscol_cli.engine.devices import release_memory
from mscol_cli.errors import MscolError, PluginCallError
from mscol_cli.host.guard import describe_error
from mscol_cli.pretrain.batches import BatchStream
from mscol_cli.pretrain.modes import NAMES, PLAIN, Mode, ModeChoice
from mscol_cli.pretrain.step_check import LIMITS, Difference, StepCheck
from mscol_cli.system import distributed

MAX_REASON = 200
Result = TypeVar("Result")


@dataclass(frozen=True)
class Settled:
    """The mode of a run.

    Attributes:
        mode: The mode.
        difference: Its difference from eager float32; None if it was not compared.
        rows: Rows of each process that were compared.
    """

    mode: Mode
    difference: Difference | None = None
    rows: int = 0

    def describe(self) -> dict[str, Any]:
        """As recorded in run.json."""
        compared = self.difference
        return {
            "precision": NAMES[self.mode.precision],
            "compiled": self.mode.compiled,
            "difference": compared and {**asdict(compared), "pairs": self.rows},
        }


def is_checked(choice: ModeChoice, device: torch.device) -> bool:
    """Whether a mode is compared with eager float32: not if it is that, in one process or on a CPU,
    where tests compare one process with several."""
    return choice.mode != PLAIN or (device.type == "cuda" and distributed.world_size() > 1)


def with_room(compute: Callable[[], Result], batches: BatchStream, progress: Progress) -> Result:
    """Compute something that leaves no trace if it fails; if the device runs out of memory, move
    the store to the host and repeat it.

    Raises:
        torch.OutOfMemoryError: There is nothing to move, or it did not help.
    """
    try:
        return compute()
    except torch.OutOfMemoryError:
        if distributed.world_size() > 1 or not batches.leave_device():
            raise
    release_memory()
    progress.warn("out of memory: the store is now read from the host (--store-on host).")
    return compute()


def settle(
    choice: ModeChoice, check: StepCheck, batches: BatchStream, progress: Progress
) -> Settled:
    """Find the first mode whose step agrees with eager float32, and warn if it is not the chosen
    one. The model then uses this mode.

    Raises:
        MscolError: An explicit `--compile on` fails, or no mode of several processes agrees.
        torch.OutOfMemoryError: The step does not fit.
    """
    if not with_room(check.is_possible, batches, progress):
        return Settled(choice.mode)
    search = _Search(choice, check, batches, progress)
    settled = search.run()
    if search.problems:
        progress.warn(f"{'; '.join(search.problems)}: training continues in {settled.mode}.")
    elif settled.difference is not None:
        progress.note(f"{settled.mode}; difference from float32: {settled.difference}")
    return settled


class _Search:
    def __init__(
        self, choice: ModeChoice, check: StepCheck, batches: BatchStream, progress: Progress
    ) -> None:
        self.problems: list[str] = []
        self._choice, self._check, self._batches, self._progress = choice, check, batches, progress
        self._can_compile = True

    def run(self) -> Settled:
        modes = list(self._choice.candidates())
        settled = Settled(modes[-1])
        for mode in modes:
            if mode.compiled and not self._can_compile:
                continue
            difference = self._difference(mode, is_last=mode == modes[-1])
            settled = Settled(mode, difference, self._check.rows)
            if difference is not None and difference.is_within(LIMITS[mode.precision]):
                return settled
        return self._plainest(settled)

    def _difference(self, mode: Mode, is_last: bool) -> Difference | None:
        """The difference of a mode; None if its step failed."""
        difference = None
        try:
            difference = with_room(
                lambda: self._check.difference(mode), self._batches, self._progress
            )
        except Exception as error:
            out_of_memory = isinstance(error, torch.OutOfMemoryError)
            if distributed.world_size() > 1 or (is_last and (out_of_memory or not mode.compiled)):
                raise
            self._can_compile = self._can_compile and not mode.compiled
            self.problems.append(f"{mode}: {_reason(error)}")
        if difference is None:
            # After the handler: the exception holds the tensors of the failed attempt.
            release_memory()
            return None
        limit = LIMITS[mode.precision]
        if not difference.is_within(limit):
            self.problems.append(
                f"{mode}: the step differs from float32 ({difference}; limit: {limit})"
            )
        return difference

    def _plainest(self, settled: Settled) -> Settled:
        """The plainest mode that the options allow, although it does not agree."""
        problems = "; ".join(self.problems)
        if self._choice.keeps_compiled:
            raise MscolError(f"--compile on failed ({problems}): use --compile auto or off.")
        if settled.mode == PLAIN:
            raise MscolError(
                f"the step of {distributed.world_size()} processes is wrong ({problems}): train in"
                " one process, and report this."
            )
        return settled


def _reason(error: Exception) -> str:
    reason = error.reason if isinstance(error, PluginCallError) else describe_error(error)
    return reason if len(reason) <= MAX_REASON else f"{reason[:MAX_REASON]}..."
