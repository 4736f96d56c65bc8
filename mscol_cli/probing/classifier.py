"""A shallow classifier of windows, chosen on clips."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from mscol_cli import adam
from mscol_cli.contracts.task import ProbeProtocol
from mscol_cli.probing.clips import ClipWindows, FloatArray
from mscol_cli.probing.metrics import METRICS
from mscol_cli.probing.threads import fitting_threads

# The published protocols count epochs in blocks of 8,192 windows, 64 updates of 128. A set that
# is smaller is passed over more than once per epoch, or 50 epochs would be too few for it.
LEAST_UPDATES_PER_EPOCH = 64
WINDOWS_AT_ONCE = 1 << 16


class ShallowClassifier(nn.Module):
    """Standardisation, at most one hidden layer, and one logit per class.

    Weights start as those of Keras' Dense do: Glorot's uniform distribution, biases 0.

    Args:
        mean: (dim,) what to subtract from every window.
        scale: (dim,) what to divide by then.
        hidden: Units of the hidden layer; 0 for a linear classifier.
        classes: How many logits.
    """

    def __init__(self, mean: Tensor, scale: Tensor, hidden: int, classes: int) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)
        dim = len(mean)
        layers: list[nn.Module] = [nn.Linear(hidden or dim, classes)]
        if hidden:
            layers = [nn.Linear(dim, hidden), nn.ReLU(), *layers]
        self.layers = nn.Sequential(*layers)
        for layer in layers:
            if isinstance(layer, nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
                nn.init.zeros_(layer.bias)

    def forward(self, windows: Tensor) -> Tensor:
        """Windows (batch, dim) to logits (batch, classes)."""
        mean, scale = self.get_buffer("mean"), self.get_buffer("scale")
        logits: Tensor = self.layers((windows - mean) / scale)
        return logits


@dataclass(frozen=True)
class TrainedProbe:
    """A classifier as it was at its best epoch.

    Attributes:
        model: The classifier, in eval mode.
        multilabel: Whether clip scores are means of sigmoids, or sums of logits.
        valid_score: What the protocol's `select` metric was on the validation clips.
        best_epoch: Epoch it comes from, the first being 1.
        epochs: Epochs that were run.
    """

    model: ShallowClassifier
    multilabel: bool
    valid_score: float
    best_epoch: int
    epochs: int

    def clip_scores(self, clips: ClipWindows) -> FloatArray:
        """(clips, classes): mean of window sigmoids if multi-label, else sum of window logits."""
        return _clip_scores(_logits(self.model, clips.windows), clips, self.multilabel)


Epoch = tuple[ClipWindows, ClipWindows]
DrawEpoch = Callable[[int], Epoch]
"""Training and validation clips of an epoch, counted from 1."""


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
    model = _new_classifier(protocol, first[0], seed).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=protocol.learning_rate, betas=adam.BETAS)
    generator = torch.Generator().manual_seed(seed)
    best = _Best((-math.inf, 0.0), 0, {})
    epoch = 0
    while epoch < protocol.epochs and epoch - best.epoch < protocol.patience:
        epoch += 1
        train, valid = first if epoch == 1 else draw(epoch)
        _train_epoch(model, optimizer, protocol, train, generator)
        rank = _rank(model, protocol, valid)
        if best.epoch == 0 or rank > best.rank:
            best = _Best(rank, epoch, copy.deepcopy(model.state_dict()))
    model.load_state_dict(best.weights)
    return TrainedProbe(model.eval(), protocol.multilabel, best.rank[0], best.epoch, epoch)


def _new_classifier(protocol: ProbeProtocol, train: ClipWindows, seed: int) -> ShallowClassifier:
    mean, scale = _moments(train.windows, protocol.standardise)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return ShallowClassifier(mean, scale, protocol.hidden, train.targets.shape[1])


def _moments(windows: Tensor, standardise: bool) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (dim,) on the CPU; 0 and 1 unless standardising."""
    if not standardise:
        return torch.zeros(windows.shape[1]), torch.ones(windows.shape[1])
    variance, mean = torch.var_mean(windows, dim=0, correction=0)
    scale = variance.sqrt()
    # A dimension that never changes carries nothing; dividing by its rounding noise would.
    still = scale <= 1e-6 * mean.abs().clamp_min(1e-6)
    return mean.cpu(), torch.where(still, torch.ones_like(scale), scale).cpu()


def _train_epoch(
    model: ShallowClassifier,
    optimizer: torch.optim.Optimizer,
    protocol: ProbeProtocol,
    train: ClipWindows,
    generator: torch.Generator,
) -> None:
    model.train()
    targets, owners = _targets(protocol, train), train.owners()
    for rows in _batches(len(owners), protocol, generator):
        rows = rows.to(owners.device)
        loss = _loss(protocol, model(train.windows[rows]), targets[owners[rows]])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        optimizer.param_groups[0]["eps"] = adam.keras_epsilon(_updates(optimizer))
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


def _rank(
    model: ShallowClassifier, protocol: ProbeProtocol, valid: ClipWindows
) -> tuple[float, float]:
    """How good the model is: the selecting metric, then minus the loss."""
    logits = _logits(model, valid.windows)
    scores = _clip_scores(logits, valid, protocol.multilabel)
    targets = _targets(protocol, valid)[valid.owners()].cpu()
    loss = _loss(protocol, torch.from_numpy(logits), targets)
    # The published code keeps the first of equal epochs; random crops are its way.
    tie = -float(loss) if protocol.crops == "windows" else 0.0
    return METRICS[protocol.select](scores, valid.targets), tie


def _targets(protocol: ProbeProtocol, clips: ClipWindows) -> Tensor:
    """(clips, classes) float32 when multi-label, else (clips,) class rows."""
    targets = torch.from_numpy(clips.targets)
    targets = targets.float() if protocol.multilabel else targets.int().argmax(dim=1)
    return targets.to(clips.windows.device)


def _loss(protocol: ProbeProtocol, logits: Tensor, targets: Tensor) -> Tensor:
    if protocol.multilabel:
        return functional.binary_cross_entropy_with_logits(logits, targets)
    return functional.cross_entropy(logits, targets)


@torch.no_grad()
def _logits(model: ShallowClassifier, windows: Tensor) -> NDArray[np.float32]:
    model.eval()
    device = model.get_buffer("mean").device
    parts = [model(part.to(device)).cpu() for part in torch.split(windows, WINDOWS_AT_ONCE)]
    logits: NDArray[np.float32] = torch.cat(parts).numpy()
    return logits


def _clip_scores(logits: NDArray[np.float32], clips: ClipWindows, multilabel: bool) -> FloatArray:
    if not multilabel:
        return clips.sum_by_clip(logits)
    sigmoids = torch.from_numpy(logits).sigmoid().numpy()
    return clips.sum_by_clip(sigmoids) / clips.counts[:, None]
