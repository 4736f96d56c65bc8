"""A shallow classifier of windows, chosen on clips."""

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
from mscol_cli.probe.windows import ClipWindows

# The published protocols count epochs in blocks of 8,192 windows, 64 updates of 128. A set that
# is smaller is passed over more than once per epoch, or 50 epochs would be too few for it.
LEAST_UPDATES_PER_EPOCH = 64

Epoch = tuple[ClipWindows, ClipWindows]
DrawEpoch = Callable[[int], Epoch]
"""Training and validation clips of an epoch, counted from 1."""

# Below about this many multiplications per update, threads cost more than they bring; on a busy
# machine, where they wait for each other, many times more.
WORTH_THREADS = 1 << 24


@dataclass(frozen=True)
class _Best:
    rank: tuple[float, float]
    epoch: int
    weights: dict[str, Any]


def train_probe(
    protocol: ProbeProtocol, draw: DrawEpoch, seed: int, device: torch.device
) -> TrainedProbe:
    """Train a classifier on windows that inherit their clips' labels.

    After each epoch the validation clips are scored as test clips will be; the best epoch by the
    protocol's `select` metric is kept, ties going to the lower loss over validation windows.

    Args:
        protocol: Layers, learning rate, batch size, epochs, patience, selection.
        draw: Gives the training and the validation clips of each epoch, on `device`; the first
            epoch's decide what standardising subtracts and divides by. In validation at least one
            class must have both positives and negatives.
        seed: Of the initial weights and the order of the windows; with `draw` it determines the
            result.
        device: Where to train.
    """
    first = draw(1)
    size = protocol.batch_size * first[0].windows.shape[1]
    with fitting_threads(size * (protocol.hidden or first[0].targets.shape[1])):
        return _fit(protocol, first, draw, seed, device)


def _fit(
    protocol: ProbeProtocol, first: Epoch, draw: DrawEpoch, seed: int, device: torch.device
) -> TrainedProbe:
    model = new_classifier(protocol, first[0], seed).to(device)
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
    return TrainedProbe(model.eval(), protocol.multilabel, best.rank[0], best.epoch, epoch)


def _train_epoch(
    model: ShallowClassifier,
    optimizer: torch.optim.Optimizer,
    protocol: ProbeProtocol,
    train: ClipWindows,
    generator: torch.Generator,
) -> None:
    model.train()
    targets, owners = targets_of(protocol, train), train.owners()
    for rows in _batches(len(owners), protocol, generator):
        rows = rows.to(owners.device)
        loss = loss_of(protocol, model(train.windows[rows]), targets[owners[rows]])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        optimizer.param_groups[0]["eps"] = keras_epsilon(_updates(optimizer))
        optimizer.step()


def _updates(optimizer: torch.optim.Optimizer) -> int:
    return max((int(state["step"]) for state in optimizer.state.values()), default=0)


def _batches(windows: int, protocol: ProbeProtocol, generator: torch.Generator) -> Iterator[Tensor]:
    passes = math.ceil(LEAST_UPDATES_PER_EPOCH / math.ceil(windows / protocol.batch_size))
    kept = in_whole_blocks(windows, protocol.block)
    for _ in range(passes):
        order = torch.randperm(windows, generator=generator)
        yield from torch.split(order[:kept], protocol.batch_size)


def in_whole_blocks(windows: int, block: int) -> int:
    """How many windows an epoch takes when it takes whole blocks, as the published code counts
    them: a block begins at every multiple of `block` below `windows - block`. With fewer windows
    than that gives any (the published code then divides by zero), or without blocks, all."""
    return math.ceil((windows - block) / block) * block if 0 < block < windows else windows


@contextmanager
def fitting_threads(multiplications: int) -> Iterator[None]:
    """Run with one thread if updates of that size are too small to be shared out."""
    before = torch.get_num_threads()
    if multiplications < WORTH_THREADS:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
