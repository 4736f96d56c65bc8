"""Minibatch training of shallow classifiers, selected on validation clips."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mscol_cli.contracts.task import ProbeProtocol
from mscol_cli.engine.optimizer import BETAS, keras_epsilon
from mscol_cli.probe.classifier import (
    ShallowClassifier,
    TrainedProbe,
    loss_of,
    new_classifier,
    selection_score,
    targets_of,
)
from mscol_cli.probe.windows import ClipWindows, batches_of

# The published protocols count epochs in blocks of 8,192 windows: 64 updates of 128 windows.
# Smaller sets are repeated within an epoch, because 50 epochs would be too few for them.
MIN_UPDATES_PER_EPOCH = 64

Epoch = tuple[ClipWindows, ClipWindows]
DrawEpoch = Callable[[int], Epoch]
"""Function of the epoch, counted from 1, that returns its training and validation clips."""

# With fewer multiplications per update, several threads are slower than one; on a busy machine,
# where they wait for each other, many times slower.
MIN_THREADED = 1 << 24


@dataclass(frozen=True)
class _Best:
    rank: tuple[float, float]
    epoch: int
    weights: dict[str, Any]


def train_probe(protocol: ProbeProtocol, draw: DrawEpoch, seed: int) -> TrainedProbe:
    """Train a classifier on windows, which have the labels of their clips.

    After each epoch, the validation clips are scored in the same way as test clips. The best epoch
    by the protocol's `select` metric is kept; ties are broken by the loss over validation windows.

    Args:
        protocol: Hidden units, learning rate, batch size, epochs, patience and selection.
        draw: Function that returns the clips of each epoch, on the device to train on. The first
            epoch determines the standardisation. At least one class must have both positives and
            negatives among the validation clips.
        seed: Random seed of the initial weights and the order of windows.
    """
    first = draw(1)
    size = protocol.batch_size * first[0].windows.shape[1]
    with fitting_threads(size * (protocol.hidden or first[0].targets.shape[1])):
        return _fit(protocol, first, draw, seed)


def _fit(protocol: ProbeProtocol, first: Epoch, draw: DrawEpoch, seed: int) -> TrainedProbe:
    model = new_classifier(protocol, first[0], seed).to(first[0].windows.device)
    optimizer = torch.optim.Adam(model.parameters(), lr=protocol.learning_rate, betas=BETAS)
    generator = torch.Generator().manual_seed(seed)
    best = _Best((-math.inf, 0.0), 0, {})
    epoch = 0
    while epoch < protocol.epochs and epoch - best.epoch < protocol.patience:
        epoch += 1
        train, valid = first if epoch == 1 else draw(epoch)
        _train_epoch(model, optimizer, protocol, train, generator)
        rank = selection_score(model, protocol, valid)
        if best.epoch == 0 or rank > best.rank:
            best = _Best(rank, epoch, copy.deepcopy(model.state_dict()))
    model.load_state_dict(best.weights)
    score, tie_break = best.rank
    return TrainedProbe(
        model.eval(), protocol.multilabel, score, best.epoch, epoch, tie_break=tie_break
    )


def _train_epoch(
    model: ShallowClassifier,
    optimizer: torch.optim.Optimizer,
    protocol: ProbeProtocol,
    train: ClipWindows,
    generator: torch.Generator,
) -> None:
    model.train()
    targets, owners = targets_of(protocol, train), train.owners()
    batches = _batches(len(owners), protocol, generator)
    for rows, windows in batches_of(train.windows, batches):
        loss = loss_of(protocol, model(windows), targets[owners[rows]])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        optimizer.param_groups[0]["eps"] = keras_epsilon(_updates(optimizer))
        optimizer.step()


def _updates(optimizer: torch.optim.Optimizer) -> int:
    return max((int(state["step"]) for state in optimizer.state.values()), default=0)


def _batches(windows: int, protocol: ProbeProtocol, generator: torch.Generator) -> Iterator[Tensor]:
    passes = math.ceil(MIN_UPDATES_PER_EPOCH / math.ceil(windows / protocol.batch_size))
    used = in_whole_blocks(windows, protocol.block)
    for _ in range(passes):
        order = torch.randperm(windows, generator=generator)
        yield from torch.split(order[:used], protocol.batch_size)


def in_whole_blocks(windows: int, block: int) -> int:
    """Number of windows in an epoch of complete blocks, as counted in the published code.

    A block starts at every multiple of `block` below `windows - block`. All windows are used if
    there is no such block (the published code then divides by zero), or if `block` is 0.
    """
    return math.ceil((windows - block) / block) * block if 0 < block < windows else windows


@contextmanager
def fitting_threads(multiplications: int) -> Iterator[None]:
    """Use one thread in this context if updates have few multiplications."""
    before = torch.get_num_threads()
    if multiplications < MIN_THREADED:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
