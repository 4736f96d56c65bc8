"""A probe's score when the encoder hears one source of each test clip."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from mscol_cli.contracts.plans import MIXTURE
from mscol_cli.contracts.progress import Progress
from mscol_cli.contracts.task import ProbeProtocol
from mscol_cli.engine.models import Model
from mscol_cli.errors import MissingDataError
from mscol_cli.probing.clips import BoolArray
from mscol_cli.probing.kept import ClipScores
from mscol_cli.probing.metrics import scored_classes
from mscol_cli.probing.shallow import TrainedProbe
from mscol_cli.reports.attribution import Attribution, HeardSource
from mscol_cli.workflows.paired_scores import CLASS_METRIC, FEWEST, score_columns
from mscol_cli.workflows.probe_stems import ClipSources, embed_sources


def attribute(
    found: ClipSources,
    kept: ClipScores,
    protocol: ProbeProtocol,
    probes: Sequence[TrainedProbe],
    model: Model,
    device: torch.device,
    progress: Progress,
) -> Attribution:
    """Score every source of the headline test set's clips beside their mixtures.

    Args:
        found: Where the sources are.
        kept: What the classifiers said of the mixtures.
        protocol: With the metrics.
        probes: The classifiers, trained on mixtures.
        model: The encoder.
        device: Where it is.
        progress: Who watches.

    Raises:
        MissingDataError: No class has both positives and negatives among the clips.
    """
    test_set = next(iter(kept.members))
    rows = kept.rows_of(test_set)
    asked = [clip for clip in rows if clip in found.tracks]
    heard = embed_sources(found, asked, model, device, progress)
    left_out = (*(one for one in found.left_out if one[0] in rows), *heard.failures)
    _tell(left_out, found, progress)
    own = [rows[clip] for clip in heard.clips]
    targets = kept.targets[own]
    _check(targets, found)
    scores = {MIXTURE: kept.scores[:, own]}
    for source in found.sources:
        windows = heard.windows(source, targets)
        scores[source] = np.stack([probe.clip_scores(windows) for probe in probes])
    columns = score_columns(scores, targets, protocol.metrics, MIXTURE)
    silent = {source: found.silent(heard.clips, source) for source in scores}
    return Attribution(
        store=str(found.store.path),
        store_hash=found.store.hash,
        test_set=test_set,
        clips=len(own),
        left_out=left_out,
        class_metric=CLASS_METRIC,
        fewest=FEWEST,
        support=tuple(targets.sum(axis=0).tolist()),
        sources=tuple(
            HeardSource(source, silent[source], column.overall, column.classes)
            for source, column in columns.items()
        ),
    )


def _tell(left_out: Sequence[tuple[str, str]], found: ClipSources, progress: Progress) -> None:
    if left_out:
        clip, reason = left_out[0]
        progress.warn(
            f"test clips whose sources are not in {found.store.path}, left out of scores by source:"
            f" {len(left_out)}, such as {clip}: {reason}."
        )


def _check(targets: BoolArray, found: ClipSources) -> None:
    if not scored_classes(targets).any():
        raise MissingDataError(
            f"no class has both positives and negatives among the {len(targets)} test clips in"
            f" {found.store.path}: separate more of them."
        )
