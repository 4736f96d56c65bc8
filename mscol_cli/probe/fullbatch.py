"""Classifiers trained on all windows at once, their weight decay chosen on validation."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
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
from mscol_cli.probe.windows import ClipWindows

WEIGHT_DECAYS = (1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
"""Strong to weak: of candidates that are equal on validation the strongest stays."""
HIDDEN = 512
LBFGS_STEPS = 100
ADAM_STEPS = 500
ADAM_RATE = 3e-3
CHECK_EVERY = 10
PATIENCE = 5


@dataclass(frozen=True)
class _Problem:
    """What is minimised.

    Attributes:
        protocol: Says which loss, and which metric selects.
        windows: (windows, dim) standardised, on the device.
        targets: Of each window.
        valid: Validation clips.
        weight_decay: Half of it times the sum of squared weights is added to the mean loss.
    """

    protocol: ProbeProtocol
    windows: Tensor
    targets: Tensor
    valid: ClipWindows
    weight_decay: float = 0.0

    def loss(self, model: ShallowClassifier) -> Tensor:
        squares = [one.square().sum() for one in model.layers.parameters() if one.dim() > 1]
        loss = loss_of(self.protocol, model.layers(self.windows), self.targets)
        return loss + 0.5 * self.weight_decay * torch.stack(squares).sum()


@dataclass(frozen=True)
class _Candidate:
    rank: tuple[float, float]
    update: int
    weight_decay: float
    weights: dict[str, Any]


def train_full_batch(
    protocol: ProbeProtocol, train: ClipWindows, valid: ClipWindows, seed: int
) -> TrainedProbe:
    """Train the protocol's `linear` or `mlp` classifier at every weight decay; keep the best.

    `linear` is brought to the optimum of a convex problem by L-BFGS from weights of 0, each weight
    decay from the solution of the one before, so that every seed gives the same. `mlp` has one
    hidden layer; Adam trains it, and its best of every ten updates is a candidate.

    Args:
        protocol: Which classifier, standardising, the metric that selects, units of `mlp` (512
            when it says 0).
        train: On the device to train on, which holds the windows a second time.
        valid: On the same device.
        seed: Of the initial weights of `mlp`.
    """
    linear = protocol.classifier == "linear"
    sized = replace(protocol, hidden=0 if linear else protocol.hidden or HIDDEN)
    model = new_classifier(sized, train, seed).to(train.windows.device)
    windows = (train.windows - model.get_buffer("mean")) / model.get_buffer("scale")
    problem = _Problem(sized, windows, targets_of(sized, train)[train.owners()], valid)
    candidates = list((_linear if linear else _mlp)(model, problem))
    # The first of equal candidates.
    best = max(candidates, key=lambda one: one.rank)
    model.load_state_dict(best.weights)
    multilabel, tried = protocol.multilabel, len(candidates)
    return TrainedProbe(
        model.eval(), multilabel, best.rank[0], best.update, tried, best.weight_decay
    )


def _linear(model: ShallowClassifier, problem: _Problem) -> Iterator[_Candidate]:
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    for weight_decay in WEIGHT_DECAYS:
        at = replace(problem, weight_decay=weight_decay)
        updates = _minimise(model, at)
        yield _candidate(model, at, updates)


def _minimise(model: ShallowClassifier, problem: _Problem) -> int:
    """L-BFGS to the optimum, or as far as its steps go; returns their number."""
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
        loss = problem.loss(model)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]  # as above
    return int(optimizer.state[next(model.parameters())]["n_iter"])


def _mlp(model: ShallowClassifier, problem: _Problem) -> Iterator[_Candidate]:
    start = copy.deepcopy(model.state_dict())
    for weight_decay in WEIGHT_DECAYS:
        model.load_state_dict(start)
        yield _descend(model, replace(problem, weight_decay=weight_decay))


def _descend(model: ShallowClassifier, problem: _Problem) -> _Candidate:
    """Adam until validation gets no better; the best of its checks."""
    optimizer = torch.optim.Adam(model.parameters(), lr=ADAM_RATE)
    best = _Candidate((-math.inf, 0.0), 0, problem.weight_decay, {})
    for update in range(1, ADAM_STEPS + 1):
        optimizer.zero_grad(set_to_none=True)
        problem.loss(model).backward()  # type: ignore[no-untyped-call]  # as above
        optimizer.step()
        if update % CHECK_EVERY == 0:
            best = max(best, _candidate(model, problem, update), key=lambda one: one.rank)
            if update - best.update >= PATIENCE * CHECK_EVERY:
                break
    return best


def _candidate(model: ShallowClassifier, problem: _Problem, update: int) -> _Candidate:
    rank = selection_score(model, problem.protocol, problem.valid)
    return _Candidate(rank, update, problem.weight_decay, copy.deepcopy(model.state_dict()))
