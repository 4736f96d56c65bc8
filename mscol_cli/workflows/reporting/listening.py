"""Neighbours to listen to: for a few segments of a run's store, what its encoder takes for near."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
import torch

from mscol_cli.contracts.progress import Progress
from mscol_cli.engine.models import load_model
from mscol_cli.engine.nearest import Nearest, nearest_tracks
from mscol_cli.errors import MscolError
from mscol_cli.host import load_registry
from mscol_cli.reports.page import Block, Excerpt, Neighbours, Section, Text
from mscol_cli.store import SAMPLE_RATE, Store
from mscol_cli.workflows.reporting.found import Material
from mscol_cli.workflows.reporting.runs import FoundRun

MOST_BYTES = 8_000_000
"""Sound in one page, before it is written as text, a third longer."""


class Sounds:
    """Excerpts of stores as FLAC, as long as there is room for more."""

    def __init__(self, wanted: bool) -> None:
        self._room = MOST_BYTES if wanted else 0
        self._count = 0

    def excerpt(self, store: Store, segment: int) -> Excerpt:
        """A segment's mixture, at full scale."""
        index = store.index
        track, start = int(index.segment_track[segment]), int(index.segment_start[segment])
        samples = int(index.segment_samples[segment])
        label = f"{index.track_ids[track]}, from {start / SAMPLE_RATE:.1f} s"
        self._count += 1
        waveform = store.stored(track)[start : start + samples]
        return Excerpt(label, f"excerpt-{self._count:03d}", self._flac(np.asarray(waveform)))

    def _flac(self, samples: np.ndarray[tuple[int, ...], np.dtype[np.int16]]) -> bytes | None:
        if self._room <= 0:
            return None
        content = io.BytesIO()
        soundfile.write(content, samples, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
        flac = content.getvalue()
        self._room -= len(flac)
        return flac if self._room >= 0 else None


def listening_section(
    material: Material, queries: int, audio: bool, device: torch.device, progress: Progress
) -> Section:
    """For each run whose store is at hand, a few segments and their nearest of other tracks."""
    sounds = Sounds(audio)
    blocks: list[Block] = []
    for run in material.runs if queries else ():
        try:
            blocks += _of_run(run, queries, sounds, device, progress)
        except MscolError as error:
            progress.warn(f"no neighbours of {run.label}: {error}")
    intro = Text(
        "For segments of the store that a run was trained on, the three nearest segments of other"
        " tracks by the run's encoder, with the cosine similarity. A track is compared by its"
        " loudest segment of four seconds; of a large store 400 tracks are compared. Excerpts are"
        " mixtures, 16 kHz, each at full scale."
    )
    return Section("Nearest neighbours", [intro, *blocks] if blocks else ())


def _of_run(
    run: FoundRun, queries: int, sounds: Sounds, device: torch.device, progress: Progress
) -> list[Block]:
    if run.store is None or run.step is None:
        return []
    store = Store.open(Path(run.store["path"]))
    progress.note(f"nearest neighbours of {run.label}")
    encoder = load_model(run.folder, load_registry(), device).encoder
    if encoder.sample_rate != SAMPLE_RATE:
        return []
    found = nearest_tracks(store, encoder, queries=queries, device=device)
    return list(_blocks(run, store, found, sounds))


def _blocks(run: FoundRun, store: Store, found: list[Nearest], sounds: Sounds) -> Iterator[Block]:
    if found:
        yield Text(f"By {run.label}, after {run.step:,} updates:")
    for one in found:
        query = sounds.excerpt(store, one.query)
        near = [sounds.excerpt(store, segment) for segment in one.segments]
        yield Neighbours(query, list(zip(near, one.similarities, strict=True)))
