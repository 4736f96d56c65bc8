"""A probe that also trains the encoder, from where the probe of the frozen one ended."""

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
from mscol_cli.engine.embedding import DECODERS, at_level, embed_files, random_crops
from mscol_cli.engine.encoding import encode
from mscol_cli.engine.models import Model
from mscol_cli.probe.classifier import (
    ShallowClassifier,
    TrainedProbe,
    loss_of,
    selection_score,
    targets_of,
)
from mscol_cli.probe.clips import EmbeddedTask, whole_clips
from mscol_cli.probe.metrics import METRICS
from mscol_cli.probe.windows import BoolArray, ClipWindows, FloatArray
from mscol_cli.system.prefetch import map_ahead

BATCHES_SHUFFLED = 16


@dataclass(frozen=True)
class FineTuned:
    """A classifier and its encoder as they were at their best epoch.

    Attributes:
        probe: The classifier; epoch 0 is the probe of the frozen encoder.
        test: The test clips, embedded by the encoder.
    """

    probe: TrainedProbe
    test: ClipWindows


def fine_tune(
    protocol: ProbeProtocol,
    probes: Sequence[TrainedProbe],
    embedded: EmbeddedTask,
    model: Model,
    device: torch.device,
    progress: Progress,
) -> Iterator[FineTuned]:
    """Train encoder and classifier together, once for each classifier of the frozen encoder.

    An epoch has one random crop per segment of each training clip. After each epoch the validation
    clips are scored as test clips will be; training ends after `patience` epochs without a better
    score, and the best epoch is tested once.
    """
    for seed, probe in enumerate(probes):
        progress.begin(f"fine-tuning, seed {seed}", protocol.epochs, "epoch")
        yield _Tuner(protocol, probe, embedded, model.encoder, seed, device).run(progress)
        progress.end()


def frozen_note(protocol: ProbeProtocol, scores: FloatArray, targets: BoolArray) -> str:
    """A line for the report: the scores of all test clips before the encoder was trained too."""
    found = [
        f"{metric} {np.mean([METRICS[metric].score(one, targets) for one in scores]):.4f}"
        for metric in protocol.metrics
    ]
    return f"the encoder was trained too; while it was frozen: {', '.join(found)} of all test clips"


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
        encoder: Encoder,
        seed: int,
        device: torch.device,
    ) -> None:
        self.protocol = protocol
        self.embedded = embedded
        self.encoder = copy.deepcopy(encoder)
        if device.type == "cpu":
            globalise_batch_norm(self.encoder, device)
        self.probe = probe
        self.classifier: ShallowClassifier = copy.deepcopy(probe.model)
        self.rng = np.random.default_rng(seed)
        self.device = device
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
        # What the encoder drops at random is drawn from torch's generator.
        with torch.random.fork_rng():
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
            best_epoch=best.epoch,
            epochs=epoch,
        )
        return FineTuned(tuned, self._embed("test"))

    def _train_epoch(self) -> None:
        self.encoder.train()
        self.classifier.train()
        paths = [item.path for item in self.embedded.items["train"]]
        for crops, rows in crop_batches(self.encoder, paths, self.protocol.batch_size, self.rng):
            if len(rows) == 1 and len(paths) > 1:
                # Normalisation over a batch has nothing to learn from a single crop.
                continue
            logits = self.classifier(encode(self.encoder, crops.to(self.device)))
            targets = self.targets[rows.to(self.targets.device)].to(self.device)
            self.optimizer.zero_grad(set_to_none=True)
            loss_of(self.protocol, logits, targets).backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()

    def _embed(self, split: Split) -> ClipWindows:
        """The clips of a split, embedded by the encoder as it is. Raises BadInputError."""
        paths = [item.path for item in self.embedded.items[split]]
        results = list(whole_clips(embed_files(self.encoder, paths, device=self.device)))
        windows = torch.from_numpy(np.concatenate([result.windows for result in results]))
        counts = np.array([len(result.windows) for result in results], dtype=np.int64)
        return ClipWindows(windows, counts, self.embedded.clips[split].targets)

    def _state(self, epoch: int, rank: tuple[float, float]) -> _Best:
        # A loss that is not a number would win no later comparison, nor lose one.
        ranked = rank if all(map(math.isfinite, rank)) else (-math.inf, 0.0)
        weights = (copy.deepcopy(one.state_dict()) for one in (self.encoder, self.classifier))
        return _Best(ranked, epoch, *weights)


def crop_batches(
    encoder: Encoder, paths: Sequence[Path], batch_size: int, rng: np.random.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """One random crop per segment of every file, once, in a random order.

    Files come in a random order, and crops are mixed with those of the files around them: as many
    as fill sixteen batches, so that memory does not grow with the data set.

    Yields:
        Crops (batch, samples) at the encoder's level, and the rows (batch,) of their files.

    Raises:
        BadInputError: A file cannot be decoded.
    """
    waiting: list[tuple[Tensor, int]] = []
    for found in _crops(encoder, paths, rng):
        waiting.append(found)
        if len(waiting) >= BATCHES_SHUFFLED * batch_size:
            drawn = _draw(waiting, len(waiting) // 2, rng)
            yield from _batches(drawn, batch_size)
    yield from _batches(_draw(waiting, len(waiting), rng), batch_size)


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
            # A copy, which does not keep the whole file in memory.
            yield waveform[start : start + encoder.crop_samples].clone(), row


def _draw(
    waiting: list[tuple[Tensor, int]], count: int, rng: np.random.Generator
) -> list[tuple[Tensor, int]]:
    """Take some out, in a random order."""
    order = rng.permutation(len(waiting))
    taken = [waiting[place] for place in order[:count].tolist()]
    waiting[:] = [waiting[place] for place in sorted(order[count:].tolist())]
    return taken


def _batches(
    crops: Sequence[tuple[Tensor, int]], batch_size: int
) -> Iterator[tuple[Tensor, Tensor]]:
    for start in range(0, len(crops), batch_size):
        waveforms, rows = zip(*crops[start : start + batch_size], strict=True)
        yield torch.stack(waveforms), torch.tensor(rows)
