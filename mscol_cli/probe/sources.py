"""Attribution: the test clips' separated sources, embedded and scored one by one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from mscol_cli.audio import resample_array
from mscol_cli.contracts.plans import MIXTURE
from mscol_cli.contracts.progress import Progress
from mscol_cli.contracts.task import ProbeProtocol, TaskItem
from mscol_cli.engine.embedding import Clip, ClipEmbedding, embed_clips
from mscol_cli.engine.models import Model
from mscol_cli.errors import BadInputError, MissingDataError, UsageError
from mscol_cli.probe.classifier import TrainedProbe
from mscol_cli.probe.metrics import PAIRED, scored_classes
from mscol_cli.probe.paired import FEWEST, score_columns
from mscol_cli.probe.result import Attribution, HeardSource
from mscol_cli.probe.scores import ClipScores
from mscol_cli.probe.tasks import track_id
from mscol_cli.probe.windows import BoolArray, ClipWindows
from mscol_cli.store import ACTIVE_LEVEL, SAMPLE_RATE, Store
from mscol_cli.store.header import TRACKS
from mscol_cli.store.records import Stored, newest, read_tracks

ABSENT = "the store has no track of its path"
OTHER = "the store's track was made from other audio"


@dataclass(frozen=True)
class ClipSources:
    """Test clips whose sources are at hand.

    Attributes:
        store: Where they are.
        tracks: By id of a clip, its track in the store.
        left_out: The other clips, and why.
    """

    store: Store
    tracks: Mapping[str, int]
    left_out: Sequence[tuple[str, str]]

    @property
    def sources(self) -> Sequence[str]:
        """Their names, without the mixture."""
        return [name for name in self.store.index.sources if name != MIXTURE]

    def silent(self, clips: Sequence[str], source: str) -> int:
        """In how many of these clips a source sounds in no segment."""
        index = self.store.index
        sounds = index.segment_level[:, index.sources.index(source)] > ACTIVE_LEVEL
        sounding = set(index.segment_track[sounds].tolist())
        return sum(self.tracks[clip] not in sounding for clip in clips)


@dataclass(frozen=True)
class HeardClips:
    """Clips of which every source is embedded.

    Attributes:
        clips: Their ids.
        results: By source, the embedding of every clip.
        failures: Clips of which a source could not be embedded, and why.
    """

    clips: Sequence[str]
    results: Mapping[str, Sequence[ClipEmbedding | BadInputError]]
    failures: Sequence[tuple[str, str]]

    def windows(self, source: str, targets: BoolArray) -> ClipWindows:
        """A source of the clips as classifiers see it; targets are (clips, classes)."""
        whole = [one.windows for one in self.results[source] if isinstance(one, ClipEmbedding)]
        counts = np.array([len(windows) for windows in whole], dtype=np.int64)
        return ClipWindows(torch.from_numpy(np.concatenate(whole)), counts, targets)


def find_sources(path: Path, items: Sequence[TaskItem], root: Path) -> ClipSources:
    """Find test clips in a store, by their path below the data set's folder.

    Raises:
        MissingDataError: There is no finished store.
        UsageError: It has no sources, or none of the clips.
    """
    store = Store.open(path)
    if len(store.index.sources) < 2:
        raise UsageError(f"{path} holds mixtures alone: separate {root} into sources.")
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
    found: ClipSources,
    clips: Sequence[str],
    model: Model,
    device: torch.device,
    progress: Progress,
) -> HeardClips:
    """Embed every source of every clip, each at the level that the encoder asks for."""
    progress.begin("sources", len(clips) * len(found.sources), "clip")
    results: dict[str, list[ClipEmbedding | BadInputError]] = {}
    for source in found.sources:
        results[source] = []
        waveforms = _waveforms(found, clips, source, model.encoder.sample_rate)
        for result in embed_clips(model.encoder, waveforms, device=device):
            results[source].append(result)
            progress.advance(source=source)
    progress.end()
    failures = {
        clip: str(result)
        for heard in results.values()
        for clip, result in zip(clips, heard, strict=True)
        if isinstance(result, BadInputError)
    }
    kept = [row for row, clip in enumerate(clips) if clip not in failures]
    sources = {source: [heard[row] for row in kept] for source, heard in results.items()}
    return HeardClips([clips[row] for row in kept], sources, list(failures.items()))


def _waveforms(
    found: ClipSources, clips: Sequence[str], source: str, sample_rate: int
) -> Iterator[Clip]:
    column = found.store.index.sources.index(source)
    for clip in clips:
        waveform = found.store.waveform(found.tracks[clip], column)
        yield Clip(f"{clip}, {source}", resample_array(waveform, SAMPLE_RATE, sample_rate))


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
    _report(left_out, found, progress)
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
        class_metric=PAIRED.name,
        fewest=FEWEST,
        support=tuple(targets.sum(axis=0).tolist()),
        sources=tuple(
            HeardSource(source, silent[source], column.overall, column.classes)
            for source, column in columns.items()
        ),
    )


def _report(left_out: Sequence[tuple[str, str]], found: ClipSources, progress: Progress) -> None:
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
