"""The clips of a task as the classifier sees them: every window once, or random crops per epoch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from mscol_cli.contracts.progress import Progress
from mscol_cli.contracts.task import ProbeProtocol, Split, TaskData, TaskItem
from mscol_cli.engine.embedding import ClipEmbedding, embed_files, random_crops
from mscol_cli.engine.models import Model
from mscol_cli.errors import BadInputError
from mscol_cli.probe.cache import Embedded, embed_cached
from mscol_cli.probe.minibatch import DrawEpoch, Epoch
from mscol_cli.probe.windows import BoolArray, ClipWindows

SPLITS: tuple[Split, ...] = ("train", "valid", "test")


@dataclass(frozen=True)
class EmbeddedTask:
    """A task's usable clips, embedded window by window.

    Attributes:
        items: By split, the clips that could be embedded.
        clips: By split, their windows and labels, in that order.
        failures: Names of the others, with the reason.
    """

    items: Mapping[Split, Sequence[TaskItem]]
    clips: Mapping[Split, ClipWindows]
    failures: Sequence[tuple[str, str]]


def embed_task(
    data: TaskData, model: Model, device: torch.device, progress: Progress
) -> EmbeddedTask:
    """Embed every clip of a task, from the cache where it has them."""
    progress.begin("embedding", len(data.items), "clip")
    items: dict[Split, Sequence[TaskItem]] = {}
    clips: dict[Split, ClipWindows] = {}
    failures: list[tuple[str, str]] = []
    for split in SPLITS:
        named = [item for item in data.items if item.split == split]
        found = embed_cached(model, [item.path for item in named], device, progress)
        failures += [(named[row].id, reason) for row, reason in found.failures.items()]
        kept = np.flatnonzero(found.counts)
        items[split] = [named[row] for row in kept]
        targets = clip_targets(items[split], len(data.classes))
        clips[split] = ClipWindows(found.windows, found.counts[kept], targets)
    progress.end()
    return EmbeddedTask(items, clips, failures)


def select_clips(embedded: EmbeddedTask, split: Split, kept: BoolArray) -> EmbeddedTask:
    """The same task with some of the clips (clips,) of a split."""
    clips, items = embedded.clips[split], embedded.items[split]
    windows = clips.windows[torch.from_numpy(np.repeat(kept, clips.counts))]
    chosen = ClipWindows(windows, clips.counts[kept], clips.targets[kept])
    return EmbeddedTask(
        {**embedded.items, split: [items[row] for row in np.flatnonzero(kept).tolist()]},
        {**embedded.clips, split: chosen},
        embedded.failures,
    )


def with_test(embedded: EmbeddedTask, found: Embedded) -> EmbeddedTask:
    """The same task with other embeddings of its test clips, those that have any."""
    kept = np.flatnonzero(found.counts)
    items = [embedded.items["test"][row] for row in kept.tolist()]
    clips = ClipWindows(found.windows, found.counts[kept], embedded.clips["test"].targets[kept])
    return EmbeddedTask(
        {**embedded.items, "test": items}, {**embedded.clips, "test": clips}, embedded.failures
    )


def same_windows(embedded: EmbeddedTask, device: torch.device) -> DrawEpoch:
    """Every epoch sees every window of the training and validation clips."""
    epoch = embedded.clips["train"].to(device), embedded.clips["valid"].to(device)
    return lambda _: epoch


class RandomCrops:
    """Each epoch sees one new random crop per segment, as the published probes do.

    The encoder is frozen, so it makes no difference that an epoch's crops are all embedded before
    the classifier is trained on them. A validation crop counts as a clip of its own.
    """

    def __init__(
        self,
        embedded: EmbeddedTask,
        model: Model,
        protocol: ProbeProtocol,
        seed: int,
        device: torch.device,
    ) -> None:
        self.embedded = embedded
        self.model = model
        self.protocol = protocol
        self.seed = seed
        self.device = device

    def __call__(self, epoch: int) -> Epoch:
        """Training and validation crops of an epoch, counted from 1."""
        noise = self.protocol.encoder_noise
        train = self._crops("train", (self.seed, epoch, 0), noise).to(self.device)
        return train, self._crops("valid", (self.seed, epoch, 1), False).to(self.device)

    def _crops(self, split: Split, seed: tuple[int, ...], noise: bool) -> ClipWindows:
        rng = np.random.default_rng(seed)
        # What the encoder drops at random is drawn from torch's generator.
        with torch.random.fork_rng():
            torch.manual_seed(int(rng.integers(1 << 62)))
            results = embed_files(
                self.model.encoder,
                [item.path for item in self.embedded.items[split]],
                device=self.device,
                cut=random_crops(rng, self.protocol.last_offset),
                noise=noise,
            )
            windows = [result.windows for result in whole_clips(results)]
        counts = [len(rows) for rows in windows]
        targets = np.repeat(self.embedded.clips[split].targets, counts, axis=0)
        ones = np.ones(len(targets), dtype=np.int64)
        return ClipWindows(torch.from_numpy(np.concatenate(windows)), ones, targets)


def whole_clips(results: Iterator[ClipEmbedding | BadInputError]) -> Iterator[ClipEmbedding]:
    """Clips that could be embedded a moment ago; one that no longer can ends the probe."""
    for result in results:
        if isinstance(result, BadInputError):
            raise result
        yield result


def clip_targets(items: Sequence[TaskItem], classes: int) -> BoolArray:
    """(clips, classes): which labels each clip has."""
    targets = np.zeros((len(items), classes), dtype=bool)
    for row, item in enumerate(items):
        targets[row, list(item.labels)] = True
    return targets
