"""How a probe's score falls with fewer labelled training clips."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from mscol_cli.contracts.progress import Progress
from mscol_cli.engine.models import Model
from mscol_cli.probing.budget import budget_rows
from mscol_cli.probing.kept import ClipScores
from mscol_cli.reports.tables import LabelBudget
from mscol_cli.workflows.probe_clips import EmbeddedTask, select_clips
from mscol_cli.workflows.probe_scores import score_clips, scored_sets
from mscol_cli.workflows.probe_settings import ProbeSettings
from mscol_cli.workflows.probe_training import train_one


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
        whole: The scores with all training clips, which a share of 1 has too.
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
