"""Scores of a probe by number of labelled training clips."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mscol_cli.contracts.progress import Progress
from mscol_cli.engine.models import Model
from mscol_cli.probe.clips import EmbeddedTask, select_clips
from mscol_cli.probe.result import LabelBudget
from mscol_cli.probe.scores import ClipScores
from mscol_cli.probe.scoring import score_clips, scored_sets
from mscol_cli.probe.settings import ProbeSettings
from mscol_cli.probe.training import train_one
from mscol_cli.probe.windows import BoolArray


def score_budgets(
    settings: ProbeSettings,
    embedded: EmbeddedTask,
    model: Model,
    all_clips: ClipScores,
    progress: Progress,
) -> Iterator[LabelBudget]:
    """Score classifiers trained on each share of the training clips.

    All validation and test clips are used. Every seed draws its own clips, so that the spread over
    seeds includes the variation between draws.

    Args:
        settings: Probe settings with the shares.
        embedded: Embeddings of all clips.
        model: The encoder.
        all_clips: Scores with all training clips, used for a share of 1.
        progress: Progress bar over seeds.
    """
    if not settings.label_fractions:
        return
    protocol = settings.protocol
    shares = settings.label_fractions
    progress.begin("label budgets", sum(share < 1 for share in shares) * settings.seeds, "seed")
    for share in shares:
        budgets = [draw_budget(embedded, share, seed) for seed in range(settings.seeds)]
        clips = float(np.mean([len(budget.items["train"]) for budget in budgets]))
        clip_scores = all_clips
        if share < 1:
            probes = []
            for seed, budget in enumerate(budgets):
                probes.append(train_one(protocol, budget, model, seed))
                progress.advance(share=f"{share:g}")
            clip_scores = score_clips(
                protocol, probes, embedded, all_clips.members, all_clips.classes
            )
        yield LabelBudget(share, clips, tuple(scored_sets(protocol, clip_scores)))
    progress.end()


def draw_budget(embedded: EmbeddedTask, share: float, seed: int) -> EmbeddedTask:
    """Draw a share of the training clips of a task."""
    targets = embedded.clips["train"].targets
    kept = np.zeros(len(targets), dtype=bool)
    kept[budget_rows(targets, share, seed)] = True
    return select_clips(embedded, "train", kept)


def budget_rows(targets: BoolArray, fraction: float, seed: int) -> NDArray[np.int64]:
    """Draw a share of the clips, stratified by class; returns rows (drawn,) in ascending order.

    A clip with several labels belongs to the rarest of them. For the same seed, a larger share
    contains all clips of a smaller one. At least one clip of every non-empty class is drawn,
    whatever the share.

    Args:
        targets: (clips, classes) labels.
        fraction: Share of the clips, above 0 and at most 1; at least one clip is drawn.
        seed: Random seed of the draw.
    """
    strata = _strata(targets)
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(len(targets))
    quantile = np.empty(len(targets))
    firsts: list[int] = []
    for stratum in np.unique(strata):
        members = shuffled[strata[shuffled] == stratum]
        quantile[members] = (np.arange(len(members)) + 0.5) / len(members)
        firsts.append(int(members[0]))
    for label in np.flatnonzero(targets.any(axis=0)).tolist():
        if not targets[firsts, label].any():  # all its clips have rarer labels, too
            firsts.append(int(shuffled[targets[shuffled, label]][0]))
    drawn = shuffled[np.argsort(quantile[shuffled], kind="stable")]
    wanted = max(1, math.floor(fraction * len(targets) + 0.5))
    return np.unique(np.concatenate([drawn[:wanted], np.array(firsts, dtype=np.int64)]))


def _strata(targets: BoolArray) -> NDArray[np.int64]:
    """(clips,) rarest label of each clip; the number of classes for clips without labels."""
    counts = targets.sum(axis=0)
    unlabelled = np.full((len(targets), 1), len(targets) + 1)
    rarity = np.where(targets, counts, len(targets) + 2)
    return np.asarray(np.concatenate([rarity, unlabelled], axis=1).argmin(axis=1), dtype=np.int64)
