"""Comparison of a training step with the same step in eager float32, in one process."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mscol_cli.engine.devices import random_state_kept, release_memory
from mscol_cli.engine.trial import saved_state
from mscol_cli.host.checks.objective import validate_loss
from mscol_cli.host.guard import label_of
from mscol_cli.pretrain.batches import Batch
from mscol_cli.pretrain.modes import PLAIN, Mode
from mscol_cli.pretrain.step import Pretraining, uses_graphs
from mscol_cli.system import distributed

MAX_SHARED_ROWS = 256
"""Pairs of the global batch that are compared with several processes: each computes all of them."""
MIN_ROWS = 4
GRAPH_PASSES = 3
"""A CUDA graph is warmed up in the first pass, recorded in the second, replayed in the third."""


@dataclass(frozen=True)
class Difference:
    """Difference of a step from eager float32.

    Attributes:
        loss: Of the loss, relative to the loss in float32.
        gradient: L2 norm of the difference of all gradients, relative to that of the gradients in
            float32: 1 for a gradient of 0, 2 for the opposite gradient.
    """

    loss: float
    gradient: float

    def is_within(self, limit: Difference) -> bool:
        """Whether both are within a limit; NaN never is."""
        return self.loss <= limit.loss and self.gradient <= limit.gradient

    def __str__(self) -> str:
        return f"{100 * self.loss:.2g} % in its loss and {self.gradient:.2g} in its gradient"


LIMITS = {torch.float32: Difference(0.01, 0.1), torch.bfloat16: Difference(0.2, 0.9)}
"""Largest differences, by precision. In bf16 a randomly initialised EfficientNet-B0 differs by 0.02
and 0.5, as its gradient depends on every rounding; a wrong gradient differs by 1 or more."""


@dataclass(frozen=True)
class _Step:
    loss: float
    gradients: Sequence[Tensor | None]

    def is_finite(self) -> bool:
        tensors = [gradient for gradient in self.gradients if gradient is not None]
        return math.isfinite(self.loss) and all(bool(each.isfinite().all()) for each in tensors)


class StepCheck:
    """Compares modes of one update with eager float32.

    It leaves no trace: weights, buffers, gradients and random states are restored. The optimizer is
    not used.

    Attributes:
        rows: Rows of the batch that are compared, of this process.
    """

    def __init__(
        self,
        model: Pretraining,
        trained: nn.Module,
        batch: Batch,
        seed: int,
        device: torch.device,
    ) -> None:
        """Prepare the comparison of one batch.

        Args:
            model: The model.
            trained: The same model, as training calls it.
            batch: Rows of this process.
            seed: Seed of the random numbers of the update.
            device: Device of the model.
        """
        self._model, self._trained, self._seed, self._device = model, trained, seed, device
        self._batch = batch
        self._processes = distributed.world_size()
        self.rows = len(next(iter(batch.waveforms.values())))
        if self._processes > 1:
            self.rows = min(self.rows, max(2, MAX_SHARED_ROWS // self._processes))
        self._reference: _Step | None = None

    def is_possible(self) -> bool:
        """Compute the step in eager float32, with half the rows as often as memory is short.

        Returns:
            Whether its loss and gradient are finite. If not, there is nothing to compare with.

        Raises:
            torch.OutOfMemoryError: A few rows do not fit.
            PluginCallError: The encoder or the objective raised an exception.
        """
        while True:
            try:
                self._reference = self._kept(self._plain_step)
                return self._reference.is_finite()
            except torch.OutOfMemoryError:
                if self.rows // 2 < MIN_ROWS or self._processes > 1:
                    raise
            release_memory()
            self.rows //= 2

    def difference(self, mode: Mode) -> Difference:
        """Difference of a mode, after `is_possible`; the model then uses this mode.

        Raises:
            Exception: The step failed in this mode.
        """
        assert self._reference is not None
        self._model.use(mode, self._device)
        if mode == PLAIN and self._processes == 1:
            return Difference(0.0, 0.0)
        passes = GRAPH_PASSES if mode.compiled and uses_graphs(self._device) else 1
        for _ in range(passes):
            step = self._kept(self._step)
        return _agreed(_compare(step, self._reference), self._device)

    def _kept(self, compute: Callable[[], _Step]) -> _Step:
        """Run one step, and restore what it changes."""
        restore = saved_state(self._model)
        try:
            with random_state_kept(self._device):
                torch.manual_seed(self._seed)
                self._set_training()
                return compute()
        finally:
            restore()
            self._model.zero_grad(set_to_none=True)

    def _set_training(self) -> None:
        # Each process draws its own stochastic depth, which a single process cannot repeat.
        self._model.train(self._processes == 1)
        for module in self._model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.train()

    def _rows(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        waveforms, labels = self._batch.waveforms, self._batch.labels
        return (
            {view: rows[: self.rows] for view, rows in waveforms.items()},
            {name: label[: self.rows] for name, label in labels.items()},
        )

    def _plain_step(self) -> _Step:
        waveforms, labels = (
            {name: distributed.gather(rows) for name, rows in tensors.items()}
            for tensors in self._rows()
        )
        parameters = self._parameters()
        with self._model.plain():
            loss, _ = self._model(waveforms, labels)
            validate_loss(loss, label_of(self._model.objective))
            # Not `backward`: it would also call the hooks of DistributedDataParallel.
            gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
        return _Step(loss.item(), gradients)

    def _step(self) -> _Step:
        loss, _ = self._trained(*self._rows())
        loss.backward()
        # Copies: a CUDA graph writes the next gradients to the same memory.
        gradients = [None if p.grad is None else p.grad.clone() for p in self._parameters()]
        return _Step(loss.item(), gradients)

    def _parameters(self) -> list[nn.Parameter]:
        return [p for p in self._model.parameters() if p.requires_grad]


def _compare(step: _Step, reference: _Step) -> Difference:
    differences, norms = [], []
    for gradient, exact in zip(step.gradients, reference.gradients, strict=True):
        if gradient is None and exact is None:
            continue
        gradient = torch.zeros_like(exact) if gradient is None else gradient  # type: ignore[arg-type]
        exact = torch.zeros_like(gradient) if exact is None else exact
        differences.append((gradient - exact).norm())
        norms.append(exact.norm())
    return Difference(
        _ratio(abs(step.loss - reference.loss), abs(reference.loss)),
        _ratio(_norm(differences), _norm(norms)),
    )


def _norm(norms: Sequence[Tensor]) -> float:
    return float(torch.stack([norm.double() for norm in norms]).norm()) if norms else 0.0


def _ratio(difference: float, reference: float) -> float:
    if difference == 0:
        return 0.0
    return difference / reference if reference > 0 else math.inf


def _agreed(difference: Difference, device: torch.device) -> Difference:
    """The largest difference of any process, so that all come to the same decision."""
    if distributed.world_size() == 1:
        return difference
    pair = torch.tensor([[difference.loss, difference.gradient]], device=device)
    loss, gradient = distributed.gather(pair).max(dim=0).values.tolist()
    return Difference(loss, gradient)
