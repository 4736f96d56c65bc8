"""Fine-tuning of encoder and classifier, starting from the probe of the frozen encoder."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mscol_cli.audio import load_mono
from mscol_cli.contracts.encoder import Encoder
from mscol_cli.contracts.progress import Progress
from mscol_cli.contracts.task import ProbeProtocol, Split
from mscol_cli.engine.batch_norm import globalise_batch_norm
from mscol_cli.engine.devices import exact_floats, random_state_kept
from mscol_cli.engine.embedding import at_level, embed_files, random_crops
from mscol_cli.engine.encoding import encode
from mscol_cli.engine.models import Model, copy_encoder
from mscol_cli.probe.classifier import (
    ShallowClassifier,
    TrainedProbe,
    loss_of,
    selection_score,
    targets_of,
)
from mscol_cli.probe.clips import EmbeddedTask, raise_failures
from mscol_cli.probe.metrics import METRICS
from mscol_cli.probe.windows import BoolArray, ClipWindows, FloatArray
from mscol_cli.system.prefetch import DECODERS, map_ahead

BATCHES_SHUFFLED = 16


@dataclass(frozen=True)
class FineTuned:
    """A fine-tuned classifier at its best epoch.

    Attributes:
        probe: The classifier; epoch 0 is the probe of the frozen encoder.
        test: Test clips, embedded by the fine-tuned encoder.
        encoder: The fine-tuned encoder, in eval mode.
    """

    probe: TrainedProbe
    test: ClipWindows
    encoder: Encoder


def fine_tune(
    protocol: ProbeProtocol,
    probes: Sequence[TrainedProbe],
    embedded: EmbeddedTask,
    model: Model,
    progress: Progress,
) -> Iterator[FineTuned]:
    """Train encoder and classifier jointly, once per classifier of the frozen encoder.

    An epoch has one random crop per segment of each training clip. After each epoch, the validation
    clips are scored in the same way as test clips. Training stops after `patience` epochs without
    improvement, and the best epoch is tested once.
    """
    for seed, probe in enumerate(probes):
        progress.begin(f"fine-tuning, seed {seed}", protocol.epochs, "epoch")
        yield _Tuner(protocol, probe, embedded, model, seed).run(progress)
        progress.end()


def embed_split(
    encoder: Encoder, embedded: EmbeddedTask, split: Split, device: torch.device
) -> ClipWindows:
    """Embed the clips of a split with another encoder. Raises BadInputError."""
    paths = [item.path for item in embedded.items[split]]
    results = raise_failures(embed_files(encoder, paths, device=device))
    return ClipWindows.of([result.windows for result in results], embedded.clips[split].targets)


def frozen_note(protocol: ProbeProtocol, scores: FloatArray, targets: BoolArray) -> str:
    """A note with the scores of the frozen encoder on all test clips.

    Args:
        protocol: Protocol with the metrics.
        scores: (seeds, clips, classes) clip scores with the frozen encoder.
        targets: (clips, classes) labels.
    """
    values = [
        f"{metric} {np.mean([METRICS[metric].score(of_seed, targets) for of_seed in scores]):.4f}"
        for metric in protocol.metrics
    ]
    return f"the encoder was fine-tuned; frozen encoder: {', '.join(values)} on all test clips"


@dataclass(frozen=True)
class _Best:
    rank: tuple[float, float]
    epoch: int
    encoder: dict[str, Any]
    classifier: dict[str, Any]


class _Tuner:
    def __init__(
        self,
        protocol: ProbeProtocol,
        probe: TrainedProbe,
        embedded: EmbeddedTask,
        model: Model,
        seed: int,
    ) -> None:
        self.protocol = protocol
        self.embedded = embedded
        self.encoder = copy_encoder(model)
        self.device = model.device
        if self.device.type == "cpu":
            globalise_batch_norm(self.encoder, self.device)
        self.probe = probe
        self.classifier: ShallowClassifier = copy.deepcopy(probe.model)
        self.rng = np.random.default_rng(seed)
        self.targets = targets_of(protocol, embedded.clips["train"])
        self.optimizer = torch.optim.Adam(
            [
                {"params": self.encoder.parameters(), "lr": protocol.encoder_learning_rate},
                {"params": self.classifier.parameters(), "lr": protocol.learning_rate},
            ]
        )

    def run(self, progress: Progress) -> FineTuned:
        best = self._state(
            0, selection_score(self.classifier, self.protocol, self.embedded.clips["valid"])
        )
        epoch = 0
        # Dropout in the encoder uses torch's generator.
        with random_state_kept(self.device):
            torch.manual_seed(int(self.rng.integers(1 << 62)))
            while epoch < self.protocol.epochs and epoch - best.epoch < self.protocol.patience:
                epoch += 1
                self._train_epoch()
                rank = selection_score(self.classifier, self.protocol, self._embed("valid"))
                if rank > best.rank:
                    best = self._state(epoch, rank)
                progress.advance(valid=f"{rank[0]:.3f}")
        self.encoder.load_state_dict(best.encoder)
        self.classifier.load_state_dict(best.classifier)
        tuned = replace(
            self.probe,
            model=self.classifier.eval(),
            valid_score=best.rank[0],
            tie_break=best.rank[1],
            best_epoch=best.epoch,
            epochs=epoch,
        )
        return FineTuned(tuned, self._embed("test"), self.encoder.eval())

    def _train_epoch(self) -> None:
        self.encoder.train()
        self.classifier.train()
        paths = [item.path for item in self.embedded.items["train"]]
        for crops, rows in crop_batches(self.encoder, paths, self.protocol.batch_size, self.rng):
            if len(rows) == 1 and len(paths) > 1:
                # Batch normalisation needs more than one crop.
                continue
            with exact_floats(self.device):
                self._train_batch(crops.to(self.device), rows)

    def _train_batch(self, crops: Tensor, rows: Tensor) -> None:
        logits = self.classifier(encode(self.encoder, crops))
        targets = self.targets[rows.to(self.targets.device)].to(self.device)
        self.optimizer.zero_grad(set_to_none=True)
        loss_of(self.protocol, logits, targets).backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()

    def _embed(self, split: Split) -> ClipWindows:
        return embed_split(self.encoder, self.embedded, split, self.device)

    def _state(self, epoch: int, rank: tuple[float, float]) -> _Best:
        # Every comparison with NaN is false, so such an epoch could never be replaced.
        ranked = rank if all(map(math.isfinite, rank)) else (-math.inf, 0.0)
        modules = self.encoder, self.classifier
        weights = (copy.deepcopy(module.state_dict()) for module in modules)
        return _Best(ranked, epoch, *weights)


def crop_batches(
    encoder: Encoder, paths: Sequence[Path], batch_size: int, rng: np.random.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """Draw one random crop per segment of every file, in random order.

    Files are shuffled, and crops are shuffled within a buffer of sixteen batches, so that memory
    does not grow with the data set.

    Args:
        encoder: Encoder with the sample rate in Hz, the crop length and the input level.
        paths: Audio files.
        batch_size: Crops per batch.
        rng: Random generator.

    Yields:
        Crops (batch, samples) at the encoder's level, and rows (batch,) of their files.

    Raises:
        BadInputError: A file cannot be decoded.
    """
    buffer: list[tuple[Tensor, int]] = []
    for crop in _crops(encoder, paths, rng):
        buffer.append(crop)
        if len(buffer) >= BATCHES_SHUFFLED * batch_size:
            drawn = _draw(buffer, len(buffer) // 2, rng)
            yield from _batches(drawn, batch_size)
    yield from _batches(_draw(buffer, len(buffer), rng), batch_size)


def _crops(
    encoder: Encoder, paths: Sequence[Path], rng: np.random.Generator
) -> Iterator[tuple[Tensor, int]]:
    order = rng.permutation(len(paths)).tolist()
    cut = random_crops(rng)

    def load(row: int) -> tuple[int, NDArray[np.float32]]:
        return row, load_mono(paths[row], encoder.sample_rate)

    for row, decoded in map_ahead(load, order, DECODERS):
        waveform = torch.from_numpy(at_level(decoded, encoder.level))
        for start in cut(encoder, len(waveform)).tolist():
            # A view would keep the entire file in memory.
            yield waveform[start : start + encoder.crop_samples].clone(), row


def _draw(
    buffer: list[tuple[Tensor, int]], count: int, rng: np.random.Generator
) -> list[tuple[Tensor, int]]:
    """Remove `count` random crops from the buffer, in random order."""
    order = rng.permutation(len(buffer))
    drawn = [buffer[row] for row in order[:count].tolist()]
    buffer[:] = [buffer[row] for row in sorted(order[count:].tolist())]
    return drawn


def _batches(
    crops: Sequence[tuple[Tensor, int]], batch_size: int
) -> Iterator[tuple[Tensor, Tensor]]:
    for start in range(0, len(crops), batch_size):
        waveforms, rows = zip(*crops[start : start + batch_size], strict=True)
        yield torch.stack(waveforms), torch.tensor(rows)
