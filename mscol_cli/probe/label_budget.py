"""The score of a probe as a function of the number of labelled training clips."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from mscol_cli.contracts.progress import Progress
from mscol_cli.engine.models import Model
from mscol_cli.probe.clips import EmbeddedTask, select_clips
from mscol_cli.probe.result import LabelBudget
from mscol_cli.probe.scores import ClipScores, score_clips, scored_sets
from mscol_cli.probe.settings import ProbeSettings
from mscol_cli.probe.training import train_one
from mscol_cli.probe.windows import BoolArray


def score_budgets(
    settings: ProbeSettings,
    embedded: EmbeddedTask,
    model: Model,
    whole: ClipScores,
    device: torch.device,
    progress: Progress,
) -> Iterator[LabelBudget]:
    """Scores with each share of the training clips; validation and test clips are always all.

    Every seed draws clips of its own, so that the spread over seeds has the luck of the draw in it.

    Args:
        settings: Which shares, and how classifiers are trained.
        embedded: Vectors of all clips.
        model: The encoder they are of.
        whole: The scores with all training clips, which a share of 1 has too.
        device: Where classifiers are trained.
        progress: Shows a bar over seeds.
    """
    if not settings.label_fractions:
        return
    protocol = settings.protocol
    shares = settings.label_fractions
    progress.begin("label budgets", sum(share < 1 for share in shares) * settings.seeds, "seed")
    for share in shares:
        drawn = [draw_budget(embedded, share, seed) for seed in range(settings.seeds)]
        clips = float(np.mean([len(one.items["train"]) for one in drawn]))
        kept = whole
        if share < 1:
            probes = []
            for seed, one in enumerate(drawn):
                probes.append(train_one(protocol, one, model, seed, device))
                progress.advance(share=f"{share:g}")
            kept = score_clips(protocol, probes, embedded, whole.members, whole.classes)
        yield LabelBudget(share, clips, tuple(scored_sets(protocol, kept)))
    progress.end()


def draw_budget(embedded: EmbeddedTask, share: float, seed: int) -> EmbeddedTask:
    """The same task with a share of its training clips."""
    targets = embedded.clips["train"].targets
    kept = np.zeros(len(targets), dtype=bool)
    kept[budget_rows(targets, share, seed)] = True
    return select_clips(embedded, "train", kept)


def budget_rows(targets: BoolArray, fraction: float, seed: int) -> NDArray[np.int64]:
    """The rows of a share of the clips, in ascending order.

    Clips are drawn class by class, a clip of many labels belonging to the rarest of them. A larger
    share of one seed holds all clips of a smaller. Every class that has clips keeps one at least.

    Args:
        targets: (clips, classes).
        fraction: Share of the clips, above 0, at most 1; at least one clip is drawn.
        seed: Of the draw.
    """
    strata = _strata(targets)
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(len(targets))
    place = np.empty(len(targets))
    firsts = []
    for stratum in np.unique(strata):
        members = shuffled[strata[shuffled] == stratum]
        place[members] = (np.arange(len(members)) + 0.5) / len(members)
        firsts.append(members[0])
    drawn = shuffled[np.argsort(place[shuffled], kind="stable")]
    wanted = max(1, math.floor(fraction * len(targets) + 0.5))
    return np.unique(np.concatenate([drawn[:wanted], np.array(firsts, dtype=np.int64)]))


def _strata(targets: BoolArray) -> NDArray[np.int64]:
    """(clips,) the rarest label of each clip; one more for clips without any."""
    counts = targets.sum(axis=0)
    bare = np.full((len(targets), 1), len(targets) + 1)
    rarity = np.where(targets, counts, len(targets) + 2)
    return np.asarray(np.concatenate([rarity, bare], axis=1).argmin(axis=1), dtype=np.int64)
