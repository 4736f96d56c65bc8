"""Attribution: scores on each separated source of the test clips."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mscol_cli.audio import resample_array
from mscol_cli.contracts.plans import MIXTURE
from mscol_cli.contracts.progress import Progress
from mscol_cli.contracts.task import ProbeProtocol, TaskItem
from mscol_cli.engine.embedding import Clip, embed_clips
from mscol_cli.engine.models import Model
from mscol_cli.errors import BadInputError, MissingDataError, UsageError
from mscol_cli.probe.attributed import Attribution, HeardSource
from mscol_cli.probe.classifier import TrainedProbe
from mscol_cli.probe.groups import MIN_CLIPS
from mscol_cli.probe.metrics import PAIRED, scored_classes
from mscol_cli.probe.paired import score_columns
from mscol_cli.probe.scores import ClipScores
from mscol_cli.probe.tasks import track_id
from mscol_cli.probe.windows import BoolArray, ClipWindows
from mscol_cli.store import ACTIVE_LEVEL, SAMPLE_RATE, Store
from mscol_cli.store.header import TRACKS
from mscol_cli.store.records import Stored, newest, read_tracks

ABSENT = "the store has no track of this path"
OTHER = "the track in the store was made from other audio"


@dataclass(frozen=True)
class ClipSources:
    """Test clips whose sources are in a store.

    Attributes:
        store: The store.
        tracks: Track in the store of each clip, by id.
        left_out: Id and reason of each clip without sources.
    """

    store: Store
    tracks: Mapping[str, int]
    left_out: Sequence[tuple[str, str]]

    @property
    def sources(self) -> Sequence[str]:
        """Names of the sources, without the mixture."""
        return [name for name in self.store.index.sources if name != MIXTURE]

    def silent(self, clips: Sequence[str], source: str) -> int:
        """Count the clips in which a source is silent in all segments."""
        index = self.store.index
        sounds = index.segment_level[:, index.sources.index(source)] > ACTIVE_LEVEL
        sounding = set(index.segment_track[sounds].tolist())
        return sum(self.tracks[clip] not in sounding for clip in clips)


@dataclass(frozen=True)
class EmbeddedSources:
    """Clips with embeddings of every source.

    Attributes:
        clips: Ids of the clips.
        windows: Windows (windows, dim) of all clips, by source.
        failures: Id and reason of each clip with a source that could not be embedded.
    """

    clips: Sequence[str]
    windows: Mapping[str, Sequence[NDArray[np.float32]]]
    failures: Sequence[tuple[str, str]]


def find_sources(path: Path, items: Sequence[TaskItem], root: Path) -> ClipSources:
    """Find test clips in a store, by their path below the folder of the data set.

    Raises:
        MissingDataError: The store does not exist, or is not finished.
        UsageError: The store has no sources, or none of the clips.
    """
    store = Store.open(path)
    if len(store.index.sources) < 2:
        raise UsageError(f"{path} holds only mixtures: separate {root} into sources.")
    stored = Stored(newest(read_tracks(path / TRACKS)))
    rows = {name: row for row, name in enumerate(store.index.track_ids)}
    tracks: dict[str, int] = {}
    left_out: list[tuple[str, str]] = []
    for item in items:
        name = track_id(item.path, root)
        if name not in rows:
            left_out.append((item.id, ABSENT))
        elif not stored.holds(name, {MIXTURE: item.path}):
            left_out.append((item.id, OTHER))
        else:
            tracks[item.id] = rows[name]
    if not tracks:
        raise UsageError(
            f"{path} holds none of the {len(items)} test clips in {root} ({left_out[0][1]}):"
            f" make it with 'mscol separate {root}'."
        )
    return ClipSources(store, tracks, left_out)


def embed_sources(
    sources: ClipSources, clips: Sequence[str], model: Model, progress: Progress
) -> EmbeddedSources:
    """Embed every source of every clip, at the encoder's input level."""
    progress.begin("sources", len(clips) * len(sources.sources), "clip")
    embedded: dict[str, dict[str, NDArray[np.float32]]] = {}
    failures: dict[str, str] = {}
    for source in sources.sources:
        embedded[source] = {}
        waveforms = _waveforms(sources, clips, source, model.encoder.sample_rate)
        results = embed_clips(model.encoder, waveforms, device=model.device)
        for clip, result in zip(clips, results, strict=True):
            if isinstance(result, BadInputError):
                failures[clip] = str(result)
            else:
                embedded[source][clip] = result.windows
            progress.advance(source=source)
    progress.end()
    kept = [clip for clip in clips if clip not in failures]
    windows = {name: [of_clip[clip] for clip in kept] for name, of_clip in embedded.items()}
    return EmbeddedSources(kept, windows, list(failures.items()))


def _waveforms(
    sources: ClipSources, clips: Sequence[str], source: str, sample_rate: int
) -> Iterator[Clip]:
    column = sources.store.index.sources.index(source)
    for clip in clips:
        waveform = sources.store.waveform(sources.tracks[clip], column)
        yield Clip(f"{clip}, {source}", resample_array(waveform, SAMPLE_RATE, sample_rate))


def attribute(
    sources: ClipSources,
    clip_scores: ClipScores,
    protocol: ProbeProtocol,
    probes: Sequence[TrainedProbe],
    model: Model,
    progress: Progress,
) -> Attribution:
    """Score every source of the clips of the headline test set, and compare with the mixture.

    Args:
        sources: Sources of the test clips.
        clip_scores: Scores of the mixtures.
        protocol: Protocol with the metrics.
        probes: Classifiers, trained on mixtures.
        model: The encoder.
        progress: Progress bar over clips and sources.

    Raises:
        MissingDataError: No class has both positives and negatives among the clips.
    """
    test_set = next(iter(clip_scores.members))
    rows = clip_scores.rows_of(test_set)
    clips = [clip for clip in rows if clip in sources.tracks]
    embedded = embed_sources(sources, clips, model, progress)
    absent = [(clip, reason) for clip, reason in sources.left_out if clip in rows]
    left_out = (*absent, *embedded.failures)
    _report(left_out, sources, progress)
    scored = [rows[clip] for clip in embedded.clips]
    targets = clip_scores.targets[scored]
    _check(targets, sources)
    scores = {MIXTURE: clip_scores.scores[:, scored]}
    for source in sources.sources:
        windows = ClipWindows.of(embedded.windows[source], targets)
        scores[source] = np.stack([probe.clip_scores(windows) for probe in probes])
    groups = clip_scores.groups.numbers(scored)
    columns = score_columns(scores, targets, protocol.metrics, MIXTURE, groups)
    silent = {source: sources.silent(embedded.clips, source) for source in scores}
    return Attribution(
        store=str(sources.store.path),
        store_hash=sources.store.hash,
        test_set=test_set,
        clips=len(scored),
        left_out=left_out,
        class_metric=PAIRED.name,
        fewest=MIN_CLIPS,
        grouped_by=clip_scores.groups.kind,
        groups=clip_scores.groups.count(scored),
        support=tuple(targets.sum(axis=0).tolist()),
        sources=tuple(
            HeardSource(source, silent[source], column.overall, column.classes)
            for source, column in columns.items()
        ),
    )


def _report(left_out: Sequence[tuple[str, str]], sources: ClipSources, progress: Progress) -> None:
    if left_out:
        clip, reason = left_out[0]
        progress.warn(
            f"skipped {len(left_out)} test clips without sources in {sources.store.path} in scores"
            f" by source, such as {clip}: {reason}."
        )


def _check(targets: BoolArray, sources: ClipSources) -> None:
    if not scored_classes(targets).any():
        raise MissingDataError(
            f"no class has both positives and negatives among the {len(targets)} test clips in"
            f" {sources.store.path}: separate more of them."
        )
