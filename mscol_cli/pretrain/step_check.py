"""Comparison of a training step with the same step in eager float32, in one process."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from mscol_cli.engine.devices import random_state_kept, release_memory
from mscol_cli.engine.trial import saved_state
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
            float32.
        cosine: Cosine of a weight's gradient with that in float32, median over the weights.
    """

    loss: float = 0.0
    gradient: float = 0.0
    cosine: float = 1.0

    def is_within(self, limit: Difference) -> bool:
        """Whether the difference is as small as a limit; NaN never is."""
        is_close = self.loss <= limit.loss and self.gradient <= limit.gradient
        return is_close and self.cosine >= limit.cosine

    def __str__(self) -> str:
        loss, gradient = f"loss {100 * self.loss:.3g} %", f"gradient {100 * self.gradient:.3g} %"
        return f"{loss}, {gradient}, cosine {self.cosine:.2g}"


LIMITS = {
    torch.float32: Difference(loss=0.01, gradient=0.1, cosine=0.9),
    torch.bfloat16: Difference(loss=0.3, gradient=4.0, cosine=0.1),
}
"""Largest differences by precision. At its random start the gradient of EfficientNet-B0 depends on
every rounding: in bf16 it differed by up to 210 % with 32 pairs, and the cosine was at least 0.28.
A gradient that is wrong has a cosine near 0 or below."""


@dataclass(frozen=True)
class Step:
    """Result of a step.

    Attributes:
        loss: The loss.
        gradients: Gradient of each weight; None if the loss does not depend on it.
    """

    loss: float
    gradients: Sequence[Tensor | None]

    def is_finite(self) -> bool:
        """Whether loss and gradients are finite."""
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
        self._reference: Step | None = None

    @property
    def is_partial(self) -> bool:
        """Whether only a part of the rows is compared."""
        return self.rows < len(next(iter(self._batch.waveforms.values())))

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
        if mode.compiled:
            # While a CUDA graph is recorded, memory that eager steps have cached is not freed.
            release_memory()
        if mode == PLAIN and self._processes == 1:
            return Difference()
        passes = GRAPH_PASSES if mode.compiled and uses_graphs(self._device) else 1
        for _ in range(passes):
            step = self._kept(self._step)
        return _agreed(compare(step, self._reference), self._device)

    def _kept(self, compute: Callable[[], Step]) -> Step:
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

    def _plain_step(self) -> Step:
        waveforms, labels = (
            {name: distributed.gather(rows) for name, rows in tensors.items()}
            for tensors in self._rows()
        )
        parameters = self._parameters()
        with self._model.plain():
            loss, _ = self._model(waveforms, labels)
            self._model.check_loss(loss, waveforms, labels)
            # Not `backward`: it would also call the hooks of DistributedDataParallel.
            gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
        return Step(loss.item(), gradients)

    def _step(self) -> Step:
        loss, _ = self._trained(*self._rows())
        loss.backward()
        # Copies: a CUDA graph writes the next gradients to the same memory.
        gradients = [None if p.grad is None else p.grad.clone() for p in self._parameters()]
        return Step(loss.item(), gradients)

    def _parameters(self) -> list[nn.Parameter]:
        return [p for p in self._model.parameters() if p.requires_grad]


def compare(step: Step, reference: Step) -> Difference:
    """Difference of a step from the same step in another mode, on the same device."""
    pairs = [
        (_or_zeros(gradient, exact), _or_zeros(exact, gradient))
        for gradient, exact in zip(step.gradients, reference.gradients, strict=True)
        if gradient is not None or exact is not None
    ]
    difference = torch.stack([(gradient - exact).norm() for gradient, exact in pairs])
    norms = torch.stack([exact.norm() for _, exact in pairs])
    cosines = torch.stack([functional.cosine_similarity(*pair, dim=0) for pair in pairs])
    return Difference(
        _ratio(abs(step.loss - reference.loss), abs(reference.loss)),
        _ratio(float(difference.double().norm()), float(norms.double().norm())),
        float(cosines[norms > 0].median()) if bool(norms.any()) else 1.0,
    )


def _or_zeros(gradient: Tensor | None, other: Tensor | None) -> Tensor:
    """A flat gradient, zeros if the loss does not depend on the weight."""
    if gradient is not None:
        return gradient.flatten()
    assert other is not None
    return torch.zeros_like(other).flatten()


def _ratio(difference: float, reference: float) -> float:
    if difference == 0:
        return 0.0
    return difference / reference if reference > 0 else math.inf


def _agreed(difference: Difference, device: torch.device) -> Difference:
    """The largest difference of any process, so that all come to the same decision."""
    if distributed.world_size() == 1:
        return difference
    own = [[difference.loss, difference.gradient, -difference.cosine]]
    loss, gradient, cosine = distributed.gather(torch.tensor(own, device=device)).amax(0).tolist()
    return Difference(loss, gradient, -cosine)
