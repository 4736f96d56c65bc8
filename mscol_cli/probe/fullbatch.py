"""Full-batch training of classifiers, with weight decay chosen on validation clips."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from mscol_cli.contracts.task import ProbeProtocol
from mscol_cli.probe.classifier import (
    ShallowClassifier,
    TrainedProbe,
    loss_of,
    new_classifier,
    selection_score,
    targets_of,
)
from mscol_cli.probe.mapped import max_bytes
from mscol_cli.probe.windows import ClipWindows, Windows, blocks

WEIGHT_DECAYS = (1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
"""From strong to weak; the strongest of equal candidates is kept."""
HIDDEN = 512
LBFGS_STEPS = 100
ADAM_STEPS = 500
ADAM_RATE = 3e-3
CHECK_EVERY = 10
BLOCK = 1 << 14
"""Windows in a block, if all at once do not fit."""
PATIENCE = 5


@dataclass(frozen=True)
class _Problem:
    """An optimisation problem.

    Attributes:
        protocol: Protocol with the loss and the `select` metric.
        blocks: Function that reads the standardised windows (block, dim) in order, on the device.
        targets: Target of each window.
        valid: Validation clips.
        weight_decay: Half of it times the sum of squared weights is added to the mean loss.
    """

    protocol: ProbeProtocol
    blocks: Callable[[], Iterable[Tensor]]
    targets: Tensor
    valid: ClipWindows
    weight_decay: float = 0.0

    def backward(self, model: ShallowClassifier) -> Tensor:
        """Add the gradients of the loss, block by block, and return the loss."""
        loss, first = self._penalty(model), 0
        total = torch.zeros_like(loss)
        for windows in self.blocks():
            targets = self.targets[first : first + len(windows)]
            share = len(windows) / len(self.targets)
            loss = share * loss_of(self.protocol, model.layers(windows), targets) + loss
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            total, first, loss = total + loss.detach(), first + len(windows), torch.zeros_like(loss)
        return total

    def _penalty(self, model: ShallowClassifier) -> Tensor:
        weights = [weight for weight in model.layers.parameters() if weight.dim() > 1]
        squares = torch.stack([weight.square().sum() for weight in weights]).sum()
        return 0.5 * self.weight_decay * squares


@dataclass(frozen=True)
class _Candidate:
    rank: tuple[float, float]
    update: int
    weight_decay: float
    weights: dict[str, Any]


def train_full_batch(
    protocol: ProbeProtocol, train: ClipWindows, valid: ClipWindows, seed: int
) -> TrainedProbe:
    """Train the protocol's `linear` or `mlp` classifier at every weight decay, and keep the best.

    `linear` is a convex problem, solved by L-BFGS from zero weights; each weight decay starts at
    the solution of the previous one, so all seeds give the same result. `mlp` has one hidden layer
    and is trained by Adam; it is validated every ten updates.

    Args:
        protocol: Protocol with `classifier`, `standardise`, `select`, and `hidden` for `mlp` (0
            means 512 units).
        train: Training clips, on the device to train on. If that cannot store the windows twice
            and what training needs, they are read in blocks; the sums then differ by rounding.
        valid: Validation clips, on the same device.
        seed: Random seed of the initial weights of `mlp`.
    """
    linear = protocol.classifier == "linear"
    sized = replace(protocol, hidden=0 if linear else protocol.hidden or HIDDEN)
    model = new_classifier(sized, train, seed).to(train.windows.device)
    standardised = _standardised(model, train.windows, sized.hidden + train.targets.shape[1])
    problem = _Problem(sized, standardised, targets_of(sized, train)[train.owners()], valid)
    candidates = list((_linear if linear else _mlp)(model, problem))
    # max returns the first of equal candidates.
    best = max(candidates, key=lambda candidate: candidate.rank)
    model.load_state_dict(best.weights)
    multilabel, tried, (score, tie_break) = protocol.multilabel, len(candidates), best.rank
    return TrainedProbe(
        model.eval(), multilabel, score, best.update, tried, best.weight_decay, tie_break
    )


def _standardised(
    model: ShallowClassifier, windows: Windows, units: int
) -> Callable[[], Iterable[Tensor]]:
    """Function that iterates over the standardised windows: all at once if that fits.

    Args:
        model: Classifier with the standardisation.
        windows: Windows (windows, dim).
        units: Number of units, with those of a hidden layer, and logits.
    """
    mean, scale = model.get_buffer("mean"), model.get_buffer("scale")
    # The windows, twice; the units with their gradients.
    values = 2 * windows.shape[1] + 3 * units
    if isinstance(windows, Tensor) and 4 * len(windows) * values <= max_bytes(windows.device):
        whole = (windows - mean) / scale
        return lambda: [whole]
    return lambda: ((block - mean) / scale for block in blocks(windows, BLOCK))


def _linear(model: ShallowClassifier, problem: _Problem) -> Iterator[_Candidate]:
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    for weight_decay in WEIGHT_DECAYS:
        problem = replace(problem, weight_decay=weight_decay)
        yield _candidate(model, problem, _minimise(model, problem))


def _minimise(model: ShallowClassifier, problem: _Problem) -> int:
    """Run L-BFGS until convergence, at most `LBFGS_STEPS`; returns the number of steps."""
    optimizer = torch.optim.LBFGS(
        model.parameters(),
        max_iter=LBFGS_STEPS,
        tolerance_grad=1e-6,
        tolerance_change=1e-9,
        history_size=20,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        optimizer.zero_grad(set_to_none=True)
        return problem.backward(model)

    optimizer.step(closure)  # type: ignore[no-untyped-call]  # torch leaves it untyped
    return int(optimizer.state[next(model.parameters())]["n_iter"])


def _mlp(model: ShallowClassifier, problem: _Problem) -> Iterator[_Candidate]:
    start = copy.deepcopy(model.state_dict())
    for weight_decay in WEIGHT_DECAYS:
        model.load_state_dict(start)
        yield _descend(model, replace(problem, weight_decay=weight_decay))


def _descend(model: ShallowClassifier, problem: _Problem) -> _Candidate:
    """Run Adam with early stopping; returns the best validated candidate."""
    optimizer = torch.optim.Adam(model.parameters(), lr=ADAM_RATE)
    best = _Candidate((-math.inf, 0.0), 0, problem.weight_decay, {})
    for update in range(1, ADAM_STEPS + 1):
        optimizer.zero_grad(set_to_none=True)
        problem.backward(model)
        optimizer.step()
        if update % CHECK_EVERY == 0:
            candidate = _candidate(model, problem, update)
            best = candidate if candidate.rank > best.rank else best
            if update - best.update >= PATIENCE * CHECK_EVERY:
                break
    return best


def _candidate(model: ShallowClassifier, problem: _Problem, update: int) -> _Candidate:
    rank = selection_score(model, problem.protocol, problem.valid)
    return _Candidate(rank, update, problem.weight_decay, copy.deepcopy(model.state_dict()))
