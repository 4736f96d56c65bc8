"""Embedded clips of a task: every window once, or random crops per epoch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from mscol_cli.contracts.progress import Progress
from mscol_cli.contracts.task import ProbeProtocol, Split, TaskData, TaskItem
from mscol_cli.engine.devices import random_state_kept
from mscol_cli.engine.embedding import ClipEmbedding, embed_files, random_crops
from mscol_cli.engine.models import Model
from mscol_cli.errors import BadInputError
from mscol_cli.probe.cache import Embedded, embed_cached, open_cache
from mscol_cli.probe.minibatch import DrawEpoch, Epoch
from mscol_cli.probe.windows import BoolArray, ClipWindows, select

SPLITS: tuple[Split, ...] = ("train", "valid", "test")
LONG_SHARE = 0.1
"""Share of the windows of a split above which a clip is noted."""
NOTED_SPLIT = 20
"""Minimum number of clips of a split with such notes. In a smaller one, clips of equal length have
more than 5 % of the windows each."""


@dataclass(frozen=True)
class EmbeddedTask:
    """Embedded clips of a task.

    Attributes:
        items: Clips that could be embedded, by split.
        clips: Windows and labels of these clips in the same order, by split.
        failures: Name and reason of each clip that could not be embedded.
        shortfalls: Description of missing audio, by name of the clip.
        silent: Names of the clips whose mono mix is silent.
    """

    items: Mapping[Split, Sequence[TaskItem]]
    clips: Mapping[Split, ClipWindows]
    failures: Sequence[tuple[str, str]]
    shortfalls: Mapping[str, str] = field(default_factory=dict)
    silent: Sequence[str] = ()


def embed_task(data: TaskData, model: Model, progress: Progress) -> EmbeddedTask:
    """Embed every clip of a task, using the cache."""
    progress.begin("embedding", len(data.items), "clip")
    items: dict[Split, Sequence[TaskItem]] = {}
    clips: dict[Split, ClipWindows] = {}
    failures: list[tuple[str, str]] = []
    shortfalls: dict[str, str] = {}
    silent: list[str] = []
    with open_cache(model) as cache:
        for split in SPLITS:
            listed = [item for item in data.items if item.split == split]
            paths = [item.path for item in listed]
            embeddings = embed_cached(cache, model, paths, progress)
            failures += [(listed[row].id, reason) for row, reason in embeddings.failures.items()]
            short = sorted(embeddings.shortfalls.items())
            shortfalls |= {listed[row].id: reason for row, reason in short}
            silent += [listed[row].id for row in sorted(embeddings.silent)]
            items[split], clips[split] = _usable(listed, embeddings, len(data.classes))
    progress.end()
    return EmbeddedTask(items, clips, failures, shortfalls, silent)


def without_windows(data: TaskData) -> EmbeddedTask:
    """The clips of a task before they are embedded: with labels, and without windows."""
    items = {split: [item for item in data.items if item.split == split] for split in SPLITS}
    clips = {split: _unembedded(listed, len(data.classes)) for split, listed in items.items()}
    return EmbeddedTask(items, clips, [])


def _unembedded(items: Sequence[TaskItem], classes: int) -> ClipWindows:
    counts = np.zeros(len(items), dtype=np.int64)
    return ClipWindows(torch.zeros(0, 0), counts, clip_targets(items, classes))


def long_clip_notes(embedded: EmbeddedTask) -> Iterator[str]:
    """Yield a note on each clip that dominates the windows of training or validation."""
    splits: Mapping[Split, str] = {"train": "training", "valid": "validation"}
    for split, name in splits.items():
        counts = embedded.clips[split].counts
        if len(counts) < NOTED_SPLIT:
            continue
        shares = counts / counts.sum()
        for row in np.flatnonzero(shares > LONG_SHARE).tolist():
            yield (
                f"clip {embedded.items[split][row].id} holds {shares[row]:.0%} of the {name}"
                " windows, and every window counts once in losses and standardisation"
            )


def select_clips(embedded: EmbeddedTask, split: Split, kept: BoolArray) -> EmbeddedTask:
    """Select clips of a split; `kept` is a (clips,) mask."""
    clips, items = embedded.clips[split], embedded.items[split]
    mask = np.repeat(kept, clips.counts)
    chosen = ClipWindows(select(clips.windows, mask), clips.counts[kept], clips.targets[kept])
    chosen_items = [items[row] for row in np.flatnonzero(kept).tolist()]
    return _with_split(embedded, split, chosen_items, chosen)


def with_test(embedded: EmbeddedTask, embeddings: Embedded) -> EmbeddedTask:
    """Replace the embeddings of the test clips; clips without embeddings are dropped."""
    classes = embedded.clips["test"].targets.shape[1]
    return _with_split(embedded, "test", *_usable(embedded.items["test"], embeddings, classes))


def _usable(
    items: Sequence[TaskItem], embeddings: Embedded, classes: int
) -> tuple[list[TaskItem], ClipWindows]:
    """The clips that could be embedded, with their windows and labels."""
    kept = np.flatnonzero(embeddings.counts)
    used = [items[row] for row in kept.tolist()]
    targets = clip_targets(used, classes)
    return used, ClipWindows(embeddings.windows, embeddings.counts[kept], targets)


def _with_split(
    embedded: EmbeddedTask, split: Split, items: Sequence[TaskItem], clips: ClipWindows
) -> EmbeddedTask:
    return replace(
        embedded, items={**embedded.items, split: items}, clips={**embedded.clips, split: clips}
    )


def same_windows(embedded: EmbeddedTask, device: torch.device) -> DrawEpoch:
    """Use every window of the training and validation clips in every epoch."""
    epoch = embedded.clips["train"].to(device), embedded.clips["valid"].to(device)
    return lambda _: epoch


@dataclass(frozen=True)
class RandomCrops:
    """One new random crop per segment in each epoch, as in the published probes.

    All crops of an epoch are embedded before the classifier is trained on them, which makes no
    difference for a frozen encoder. A validation crop counts as a separate clip.
    """

    embedded: EmbeddedTask
    model: Model
    protocol: ProbeProtocol
    seed: int

    def __call__(self, epoch: int) -> Epoch:
        """Draw training and validation crops of an epoch, counted from 1."""
        noise = self.protocol.encoder_noise
        train = self._crops("train", (self.seed, epoch, 0), noise)
        return train, self._crops("valid", (self.seed, epoch, 1), False)

    def _crops(self, split: Split, seed: tuple[int, ...], noise: bool) -> ClipWindows:
        rng = np.random.default_rng(seed)
        # Dropout in the encoder uses torch's generator.
        with random_state_kept(self.model.device):
            torch.manual_seed(int(rng.integers(1 << 62)))
            results = embed_files(
                self.model.encoder,
                [item.path for item in self.embedded.items[split]],
                device=self.model.device,
                cut=random_crops(rng, self.protocol.last_offset),
                noise=noise,
            )
            windows = [result.windows for result in raise_failures(results)]
        counts = [len(rows) for rows in windows]
        targets = np.repeat(self.embedded.clips[split].targets, counts, axis=0)
        ones = np.ones(len(targets), dtype=np.int64)
        crops = ClipWindows(torch.from_numpy(np.concatenate(windows)), ones, targets)
        return crops.to(self.model.device)


def raise_failures(results: Iterator[ClipEmbedding | BadInputError]) -> Iterator[ClipEmbedding]:
    """Yield the embeddings; raises the first BadInputError instead of yielding it."""
    for result in results:
        if isinstance(result, BadInputError):
            raise result
        yield result


def clip_targets(items: Sequence[TaskItem], classes: int) -> BoolArray:
    """(clips, classes) labels of the clips."""
    targets = np.zeros((len(items), classes), dtype=bool)
    for row, item in enumerate(items):
        targets[row, list(item.labels)] = True
    return targets
