"""Shallow classifiers of windows, scored on clips."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import log_softmax
from torch import Tensor, nn
from torch.nn import functional

from mscol_cli.contracts.task import ProbeProtocol
from mscol_cli.probe.metrics import METRICS
from mscol_cli.probe.windows import ClipWindows, FloatArray, Windows, blocks

WINDOWS_AT_ONCE = 1 << 16
MOMENT_ROWS = 1 << 14
"""Windows whose moments are computed at once."""


class ShallowClassifier(nn.Module):
    """Standardisation, at most one hidden layer, and one logit per class.

    Weights are initialised as in Keras' Dense: Glorot uniform, with zero biases.

    Args:
        mean: (dim,) mean, subtracted from every window.
        scale: (dim,) standard deviation, which windows are divided by.
        hidden: Units of the hidden layer; 0 for a linear classifier.
        classes: Number of classes.
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
        """Classify windows (batch, dim); returns logits (batch, classes)."""
        mean, scale = self.get_buffer("mean"), self.get_buffer("scale")
        logits: Tensor = self.layers((windows - mean) / scale)
        return logits


@dataclass(frozen=True)
class TrainedProbe:
    """A classifier with the weights of its best epoch.

    Attributes:
        model: The classifier, in eval mode.
        multilabel: Whether clip scores are means of sigmoids, or log probabilities.
        valid_score: The protocol's `select` metric on the validation clips, negated if lower is
            better.
        best_epoch: Epoch of the weights (for full-batch training, the update), counted from 1.
        epochs: Number of epochs trained.
        weight_decay: Weight decay chosen on validation; 0 if none was chosen.
        tie_break: Minus the loss over validation windows, as in `selection_score`.
    """

    model: ShallowClassifier
    multilabel: bool
    valid_score: float
    best_epoch: int
    epochs: int
    weight_decay: float = 0.0
    tie_break: float = 0.0

    @property
    def rank(self) -> tuple[float, float]:
        """Order of classifiers on validation: by score, then by loss."""
        return self.valid_score, self.tie_break

    def clip_scores(self, clips: ClipWindows) -> FloatArray:
        """Same as the function `clip_scores`, for this classifier."""
        return clip_scores(self.model, clips, self.multilabel)


def clip_scores(model: ShallowClassifier, clips: ClipWindows, multilabel: bool) -> FloatArray:
    """(clips, classes) mean of window sigmoids if multi-label, else log softmax of mean logits.

    The mean over windows orders the classes as the sum does, by which the published code decides.
    Per-class metrics also compare clips: a sum grows with the length of a clip, and a logit means
    nothing without those of the other classes.
    """
    return _clip_scores(logits_of(model, clips.windows), clips, multilabel)


def new_classifier(protocol: ProbeProtocol, train: ClipWindows, seed: int) -> ShallowClassifier:
    """Initialise a classifier from a seed, with the protocol's standardisation."""
    mean, scale = moments(train.windows, protocol.standardise)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return ShallowClassifier(mean, scale, protocol.hidden, train.targets.shape[1])


def moments(windows: Windows, standardise: bool) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (dim,) of windows (windows, dim), on the CPU; 0 and 1 unless
    `standardise`."""
    if not standardise:
        return torch.zeros(windows.shape[1]), torch.ones(windows.shape[1])
    variance, mean = _variance_and_mean(windows)
    scale = variance.sqrt()
    # Constant dimensions carry no information; division would amplify their rounding noise.
    constant = scale <= 1e-6 * mean.abs().clamp_min(1e-6)
    return mean.cpu(), torch.where(constant, torch.ones_like(scale), scale).cpu()


def _variance_and_mean(windows: Windows) -> tuple[Tensor, Tensor]:
    """Variance and mean (dim,), read once, and to the bit the same in memory and on disk."""
    parts = [torch.var_mean(part, dim=0, correction=0) for part in blocks(windows, MOMENT_ROWS)]
    if len(parts) == 1:
        return parts[0]
    variances, means = (torch.stack(values).double() for values in zip(*parts, strict=True))
    sizes = [min(MOMENT_ROWS, len(windows) - row) for row in range(0, len(windows), MOMENT_ROWS)]
    shares = means.new_tensor(sizes)[:, None] / len(windows)
    mean = (shares * means).sum(dim=0)
    variance = (shares * (variances + (means - mean).square())).sum(dim=0)
    return variance.float(), mean.float()


def selection_score(
    model: ShallowClassifier, protocol: ProbeProtocol, valid: ClipWindows
) -> tuple[float, float]:
    """The `select` metric on validation clips, and minus the loss to break ties."""
    logits = logits_of(model, valid.windows)
    scores = _clip_scores(logits, valid, protocol.multilabel)
    targets = targets_of(protocol, valid)[valid.owners()].cpu()
    loss = loss_of(protocol, torch.from_numpy(logits), targets)
    # The published code, which uses random crops, keeps the first of equal epochs.
    tie = -float(loss) if protocol.crops == "windows" else 0.0
    select = METRICS[protocol.select]
    return select.rank(select.score(scores, valid.targets)), tie


def targets_of(protocol: ProbeProtocol, clips: ClipWindows) -> Tensor:
    """(clips, classes) float32 targets if multi-label, else (clips,) class indices."""
    targets = torch.from_numpy(clips.targets)
    targets = targets.float() if protocol.multilabel else targets.int().argmax(dim=1)
    return targets.to(clips.windows.device)


def loss_of(protocol: ProbeProtocol, logits: Tensor, targets: Tensor) -> Tensor:
    """Mean loss over windows of logits (windows, classes); targets are as in `targets_of`, but per
    window."""
    if protocol.multilabel:
        return functional.binary_cross_entropy_with_logits(logits, targets)
    return functional.cross_entropy(logits, targets)


@torch.no_grad()
def logits_of(model: ShallowClassifier, windows: Windows) -> NDArray[np.float32]:
    """Logits (windows, classes) of windows (windows, dim), in eval mode and in chunks."""
    model.eval()
    device = model.get_buffer("mean").device
    parts = [model(part.to(device)).cpu() for part in blocks(windows, WINDOWS_AT_ONCE)]
    logits: NDArray[np.float32] = torch.cat(parts).numpy()
    return logits


def _clip_scores(logits: NDArray[np.float32], clips: ClipWindows, multilabel: bool) -> FloatArray:
    values = torch.from_numpy(logits).sigmoid().numpy() if multilabel else logits
    means = clips.sum_by_clip(values) / clips.counts[:, None]
    return means if multilabel else np.asarray(log_softmax(means, axis=1))
