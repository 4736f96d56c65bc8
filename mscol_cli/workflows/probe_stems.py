"""What a probe can tell when its encoder hears one stem of each test clip, and no other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from mscol_cli.audio import resample_array
from mscol_cli.contracts.progress import Progress
from mscol_cli.contracts.task import ProbeProtocol, TaskData, TaskItem
from mscol_cli.engine.embedding import Clip
from mscol_cli.engine.models import Model
from mscol_cli.errors import MissingDataError
from mscol_cli.probing.cache import Embedded
from mscol_cli.probing.kept import ClipScores
from mscol_cli.probing.shallow import TrainedProbe
from mscol_cli.reports.tables import StemScores
from mscol_cli.store import Store
from mscol_cli.store.records import FileStamp, file_hash
from mscol_cli.store.segments import SAMPLE_RATE
from mscol_cli.workflows.embeddings import embed_waveforms
from mscol_cli.workflows.probe_clips import EmbeddedTask, select_clips, with_test
from mscol_cli.workflows.probe_deformed import losses
from mscol_cli.workflows.probe_scores import members_among, score_clips, scored_sets
from mscol_cli.workflows.train_split import track_id


@dataclass(frozen=True)
class TestStems:
    """Where the stems of test clips are.

    Attributes:
        store: Of the stems.
        tracks: By id of the test clip, its row in the store.
    """

    __test__ = False

    store: Store
    tracks: Mapping[str, int]


def find_stems(path: Path, data: TaskData, root: Path) -> TestStems:
    """The tracks that were separated from a task's test clips.

    A track belongs to a clip of the same content: first the one of the clip's path below `root` is
    looked at, then every other.

    Raises:
        MissingDataError: There is no such store, or it holds none of the test clips.
    """
    store = Store.open(path)
    stamps = store.file_stamps()
    by_size: dict[int, list[str]] = {}
    for name, stamp in ((name, stamp) for name, files in stamps.items() for stamp in files):
        by_size.setdefault(stamp.size, []).append(name)
    rows = {name: row for row, name in enumerate(store.index.track_ids)}
    tested = [item for item in data.items if item.split == "test"]
    named = {item.id: _track_of(item, root, stamps, by_size) for item in tested}
    tracks = {clip: rows[name] for clip, name in named.items() if name is not None}
    if not tracks:
        raise MissingDataError(
            f"{path} holds none of the {len(tested)} test clips in {root}: make it with"
            f" 'mscol separate {root}'."
        )
    return TestStems(store, tracks)


def score_stems(
    protocol: ProbeProtocol,
    stems: TestStems,
    probes: Sequence[TrainedProbe],
    embedded: EmbeddedTask,
    model: Model,
    clean: ClipScores,
    device: torch.device,
    progress: Progress,
) -> Iterator[StemScores]:
    """Scores of the clips that have stems, as files first, and then of each source alone."""
    has_stems = np.array([item.id in stems.tracks for item in embedded.items["test"]], dtype=bool)
    whole = select_clips(embedded, "test", has_stems)
    if list(clean.members) != list(members_among(clean, whole)):
        progress.warn("the test clips that have stems are too few to be scored.")
        return
    heard = _score(protocol, probes, whole, clean)
    yield StemScores("", 0, tuple(scored_sets(protocol, heard)))
    rows = [stems.tracks[item.id] for item in whole.items["test"]]
    for source, name in enumerate(stems.store.index.sources):
        alone = with_test(whole, _embed(stems.store, rows, source, model, device, progress))
        if list(clean.members) == list(members_among(clean, alone)):
            scores = _score(protocol, probes, alone, clean)
            lost = tuple(losses(protocol, heard, scores, f"{name} alone"))
            silent = sum(not stems.store.stored(row, source).any() for row in rows)
            yield StemScores(name, silent, tuple(scored_sets(protocol, scores)), lost)


def _score(
    protocol: ProbeProtocol, probes: Sequence[TrainedProbe], task: EmbeddedTask, clean: ClipScores
) -> ClipScores:
    """The scores of some of the test clips, in the test sets of all."""
    return score_clips(protocol, probes, task, members_among(clean, task), clean.classes)


def _embed(
    store: Store,
    rows: Sequence[int],
    source: int,
    model: Model,
    device: torch.device,
    progress: Progress,
) -> Embedded:
    """One source of some tracks, each as a clip of its own."""
    name, ids, rate = store.index.sources[source], store.index.track_ids, model.encoder.sample_rate

    def clips() -> Iterator[Clip]:
        for row in rows:
            waveform = store.waveform(row, source)
            yield Clip(f"{name} of {ids[row]}", resample_array(waveform, SAMPLE_RATE, rate))

    progress.begin(f"{name} alone", len(rows), "clip")
    identity = ("stem", store.hash, name, *(ids[row] for row in rows))
    found = embed_waveforms(model, clips(), identity, len(rows), device, progress)
    progress.end()
    return found


def _track_of(
    item: TaskItem,
    root: Path,
    stamps: Mapping[str, Sequence[FileStamp]],
    by_size: Mapping[int, Sequence[str]],
) -> str | None:
    """The track that was made of a clip's content."""
    name = track_id(item.path, root)
    if any(stamp.matches(item.path) for stamp in stamps.get(name, ())):
        return name
    candidates = by_size.get(item.path.stat().st_size, ())
    content = file_hash(item.path) if candidates else ""
    return next(
        (one for one in candidates if any(stamp.sha256 == content for stamp in stamps[one])), None
    )
