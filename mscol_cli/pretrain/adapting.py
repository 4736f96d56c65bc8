"""Adaptation of a run to its device: the mode of its steps, and its use of memory."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn
from torch.optim import Optimizer

from mscol_cli.contracts.progress import Progress
from mscol_cli.engine.devices import describe_machine, release_memory
from mscol_cli.engine.trial import saved_state
from mscol_cli.errors import MscolError
from mscol_cli.host.guard import located
from mscol_cli.pretrain.batches import BatchStream
from mscol_cli.pretrain.modes import NAMES, ModeChoice
from mscol_cli.pretrain.settling import Settled, is_checked, settle, with_room
from mscol_cli.pretrain.step import Pretraining, count_graph_breaks, uses_graphs
from mscol_cli.pretrain.step_check import StepCheck
from mscol_cli.runs.layout import write_run
from mscol_cli.runs.settings import COMPUTE
from mscol_cli.system import distributed

Result = TypeVar("Result")


class Adaptation:
    """Settles how a run is computed, and changes it when memory is short."""

    def __init__(
        self,
        choice: ModeChoice,
        model: Pretraining,
        batches: BatchStream,
        device: torch.device,
        progress: Progress,
    ) -> None:
        self._choice, self._model, self._batches = choice, model, batches
        self._device, self._progress = device, progress
        self._settled = Settled(choice.mode)
        self._frontend_rows = model.frontend_rows
        self._store_on = batches.source.store_on
        self._is_first = True
        self._graph_breaks = 0

    def settle(self, trained: nn.Module, seed: int, step: int) -> None:
        """Compare the chosen mode with eager float32 on the first batch, if it is another one.

        Args:
            trained: The model as training calls it.
            seed: Seed of the random numbers of the update.
            step: Number of completed updates.
        """
        if self._choice.problem:
            self._progress.warn(f"{self._choice.problem}: training is in {self._choice.mode}.")
        if not is_checked(self._choice, self._device):
            return
        batch = with_room(self._batches.first, self._batches, self._progress)
        if batch is None:
            return
        check = StepCheck(self._model, trained, batch, seed, self._device)
        before = count_graph_breaks() if self._choice.mode.compiled else 0
        with located(f"step {step + 1}"):
            self._settled = settle(self._choice, check, self._batches, self._progress)
        if self._settled.mode.compiled and (breaks := count_graph_breaks() - before):
            self._graph_breaks = breaks
            self._progress.warn(
                "the encoder is compiled in parts, which is slower (graph breaks:"
                f" {breaks}): TORCH_LOGS=graph_breaks prints where."
            )
        if self._device.type == "cuda":
            mode, chosen = self._settled.mode, self._choice.mode
            if chosen.compiled and (check.is_partial or mode != chosen):
                # CUDA graphs of another batch size or mode would keep their memory.
                torch.compiler.reset()
            # The comparison needs more than training.
            release_memory()
            torch.cuda.reset_peak_memory_stats(self._device)

    def compute(self, update: Callable[[], Result], optimizer: Optimizer) -> Result:
        """Compute an update. The first of this process is repeated if memory had to be freed;
        copies of all weights would slow down the others.

        Args:
            update: Computes the update, which changes the model and the optimizer.
            optimizer: The optimizer.
        """
        if not self._is_first:
            return update()
        self._is_first = False
        restore, state = saved_state(self._model), copy.deepcopy(optimizer.state_dict())

        def traceless() -> Result:
            try:
                return update()
            except torch.OutOfMemoryError:
                restore()
                # Memory may have run out while the optimizer allocated a parameter's state.
                optimizer.load_state_dict(copy.deepcopy(state))
                raise

        return with_room(traceless, self._batches, self._progress)

    def has_changed(self) -> bool:
        """Whether the last update halved the batch of the front end, of which this warns, or moved
        the store."""
        before = self._frontend_rows, self._store_on
        self._frontend_rows = rows = self._model.frontend_rows
        self._store_on = self._batches.source.store_on
        if rows != before[0]:
            self._progress.warn(f"out of memory: the front end now takes {rows} crops at a time.")
        return (rows, self._store_on) != before

    def record(self, run: Path, info: Mapping[str, Any]) -> dict[str, Any]:
        """Write the decisions to run.json; returns its new content."""
        mode = self._settled.mode
        decisions = {
            "device": describe_machine(self._device)["device"],
            **self._settled.describe(),
            "cuda_graphs": mode.compiled and uses_graphs(self._device),
            "graph_breaks": self._graph_breaks,
            "store_on": self._batches.source.store_on,
            "frontend_rows": self._model.frontend_rows,
        }
        recorded = {**info, COMPUTE: decisions}
        if distributed.rank() == 0:
            write_run(run, recorded)
        return recorded

    @contextmanager
    def advising(self, run: Path, pairs: int) -> Iterator[None]:
        """Context in which exhausted memory becomes an error that names the options to change.

        Args:
            run: The run folder.
            pairs: Pairs per step of this process.

        Raises:
            MscolError: The device is out of memory.
        """
        try:
            yield
        except torch.OutOfMemoryError as error:
            options = []
            if self._batches.source.store_on == "device":
                options.append("--store-on host")
            if NAMES[self._model.precision] == "fp32":
                options.append("--precision bf16")
            options += ["more --gpus"] if self._device.type == "cuda" else []
            resume = f"resume with {' or '.join(options)}, or " if options else ""
            raise MscolError(
                f"{run}: {self._device} is out of memory with {pairs} pairs per process: {resume}"
                "start a new run with a lower --batch-size."
            ) from error
