"""Shallow classifiers of windows, and how good they are on clips."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from mscol_cli.contracts.task import ProbeProtocol
from mscol_cli.probe.metrics import METRICS
from mscol_cli.probe.windows import ClipWindows, FloatArray

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
        valid_score: What the protocol's `select` metric was on the validation clips, or minus
            that where lower is better.
        best_epoch: Epoch (or, of all windows at once, update) it comes from, the first being 1.
        epochs: How many were run.
        weight_decay: The one that was chosen on validation; 0 where none was to be chosen.
    """

    model: ShallowClassifier
    multilabel: bool
    valid_score: float
    best_epoch: int
    epochs: int
    weight_decay: float = 0.0

    def clip_scores(self, clips: ClipWindows) -> FloatArray:
        """(clips, classes): mean of window sigmoids if multi-label, else sum of window logits."""
        return _clip_scores(logits_of(self.model, clips.windows), clips, self.multilabel)


def new_classifier(protocol: ProbeProtocol, train: ClipWindows, seed: int) -> ShallowClassifier:
    """A classifier with the initial weights of a seed, that standardises as the protocol says."""
    mean, scale = moments(train.windows, protocol.standardise)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return ShallowClassifier(mean, scale, protocol.hidden, train.targets.shape[1])


def moments(windows: Tensor, standardise: bool) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (dim,) on the CPU; 0 and 1 unless standardising."""
    if not standardise:
        return torch.zeros(windows.shape[1]), torch.ones(windows.shape[1])
    variance, mean = torch.var_mean(windows, dim=0, correction=0)
    scale = variance.sqrt()
    # A dimension that never changes carries nothing; dividing by its rounding noise would.
    still = scale <= 1e-6 * mean.abs().clamp_min(1e-6)
    return mean.cpu(), torch.where(still, torch.ones_like(scale), scale).cpu()


def selection_score(
    model: ShallowClassifier, protocol: ProbeProtocol, valid: ClipWindows
) -> tuple[float, float]:
    """How good the model is: the selecting metric, then minus the loss."""
    logits = logits_of(model, valid.windows)
    scores = _clip_scores(logits, valid, protocol.multilabel)
    targets = targets_of(protocol, valid)[valid.owners()].cpu()
    loss = loss_of(protocol, torch.from_numpy(logits), targets)
    # The published code keeps the first of equal epochs; random crops are its way.
    tie = -float(loss) if protocol.crops == "windows" else 0.0
    select = METRICS[protocol.select]
    return select.rank(select.score(scores, valid.targets)), tie


def targets_of(protocol: ProbeProtocol, clips: ClipWindows) -> Tensor:
    """(clips, classes) float32 when multi-label, else (clips,) class rows."""
    targets = torch.from_numpy(clips.targets)
    targets = targets.float() if protocol.multilabel else targets.int().argmax(dim=1)
    return targets.to(clips.windows.device)


def loss_of(protocol: ProbeProtocol, logits: Tensor, targets: Tensor) -> Tensor:
    """Mean over windows of (windows, classes) logits against what `targets_of` gives."""
    if protocol.multilabel:
        return functional.binary_cross_entropy_with_logits(logits, targets)
    return functional.cross_entropy(logits, targets)


@torch.no_grad()
def logits_of(model: ShallowClassifier, windows: Tensor) -> NDArray[np.float32]:
    """Logits (windows, classes) in eval mode, some windows at a time."""
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
