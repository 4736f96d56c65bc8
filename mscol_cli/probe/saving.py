"""Choice and calibration of the classifier that a probe saves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mscol_cli.contracts.encoder import Encoder
from mscol_cli.contracts.task import TaskData
from mscol_cli.engine.models import Model
from mscol_cli.probe.calibration import fit_calibration, fit_thresholds, identity, ranked_classes
from mscol_cli.probe.classifier import TrainedProbe
from mscol_cli.probe.clips import EmbeddedTask
from mscol_cli.probe.finetune import FineTuned, embed_split
from mscol_cli.probe.head import (
    Head,
    HeadModel,
    HeadRecord,
    content_hash,
    framing_of,
    serialise,
)
from mscol_cli.probe.reliability import reliability
from mscol_cli.probe.saved_head import SavedHead
from mscol_cli.probe.settings import ProbeSettings
from mscol_cli.probe.windows import BoolArray, ClipWindows, FloatArray


@dataclass(frozen=True)
class Trained:
    """Trained classifiers.

    Attributes:
        probes: One classifier per seed.
        scores: (seeds, clips, classes) scores of the test clips.
        notes: Notes for the report.
        tuned: The best fine-tuned encoder with its classifier, if it is to be saved.
    """

    probes: Sequence[TrainedProbe]
    scores: FloatArray
    notes: Sequence[str] = ()
    tuned: FineTuned | None = None


@dataclass(frozen=True)
class CalibratedHead:
    """A head that is ready to be written.

    Attributes:
        head: The head.
        summary: What the report says about it.
        model: The model that the probe began with.
        encoder: The fine-tuned encoder; None if the encoder was frozen.
    """

    head: Head
    summary: SavedHead
    model: Model
    encoder: Encoder | None


def calibrate_best(
    settings: ProbeSettings,
    data_set: tuple[Path, TaskData],
    model: Model,
    embedded: EmbeddedTask,
    trained: Trained,
    test_sets: Mapping[str, BoolArray],
) -> CalibratedHead:
    """Calibrate the classifier with the best validation score on the validation clips.

    Its reliability is measured on the first test set. Nothing is trained.
    """
    seed = best_seed(trained.probes)
    valid, encoder = embedded.clips["valid"], None
    if trained.tuned is not None:
        encoder = trained.tuned.encoder
        valid = embed_split(encoder, embedded, "valid", model.device)
    head = _head(settings, data_set, model, seed, trained.probes[seed], valid)
    name, rows = next(iter(test_sets.items()))
    scores, targets = trained.scores[seed][rows], embedded.clips["test"].targets[rows]
    multilabel = head.record.multilabel
    before = identity(multilabel, targets.shape[1]).probabilities(scores)
    after = head.record.calibration.probabilities(scores)
    summary = SavedHead(
        seed=seed,
        sha256=head.record.sha256,
        temperature=head.record.calibration.temperature,
        uncalibrated=_uncalibrated(head, valid) if multilabel else (),
        test_set=name,
        clips=len(targets),
        before=reliability(before, targets, multilabel),
        after=reliability(after, targets, multilabel),
    )
    return CalibratedHead(head, summary, model, encoder)


def _uncalibrated(head: Head, valid: ClipWindows) -> tuple[str, ...]:
    ranked = ranked_classes(head.probabilities(valid), valid.targets)
    both = zip(head.record.classes, ranked, strict=True)
    return tuple(label for label, is_ranked in both if not is_ranked)


def best_seed(probes: Sequence[TrainedProbe]) -> int:
    """Seed of the classifier with the best validation score; of equal ones with the lowest
    validation loss."""
    return max(range(len(probes)), key=lambda seed: probes[seed].rank)


def _head(
    settings: ProbeSettings,
    data_set: tuple[Path, TaskData],
    model: Model,
    seed: int,
    probe: TrainedProbe,
    valid: ClipWindows,
) -> Head:
    folder, data = data_set
    scores, multilabel = probe.clip_scores(valid), probe.multilabel
    calibration = fit_calibration(multilabel, scores, valid.targets)
    probabilities = calibration.probabilities(scores)
    encoder = model.info["encoder"]
    record = HeadRecord(
        task=settings.part.name,
        data=str(folder),
        protocol=settings.described_protocol(),
        multilabel=multilabel,
        classes=tuple(data.classes),
        seed=seed,
        calibration=calibration,
        thresholds=fit_thresholds(probabilities, valid.targets) if multilabel else (),
        model=HeadModel(model.name, model.hash, model.step, encoder, framing_of(model.encoder)),
        sha256=content_hash(serialise(probe.model)),
    )
    return Head(record, probe.model)
