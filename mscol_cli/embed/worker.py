"""Worker of `embed`: fills a folder of vectors together with any number of other processes.

The inputs are split into units. A worker locks a free unit and embeds what is pending in it, group
by group. Workers share nothing else, and the unit of one that dies is taken over by another.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from pathlib import Path

import torch

from mscol_cli.contracts.progress import Progress
from mscol_cli.embed.inputs import FindKnown, Input, Loaded, is_silent_reason, load
from mscol_cli.embed.pending import Pending
from mscol_cli.embed.pooling import pool_windows
from mscol_cli.engine.embedding import Clip, ClipEmbedding, embed_groups, whole_windows
from mscol_cli.engine.models import Model
from mscol_cli.errors import BadInputError
from mscol_cli.system.files import absolute_path
from mscol_cli.system.locks import Lock
from mscol_cli.system.outcomes import warn_short, warn_skipped
from mscol_cli.system.prefetch import DECODERS, map_ahead
from mscol_cli.system.signals import raise_if_interrupted
from mscol_cli.vectors import FileVersion, VectorFolder, VectorWriter

_LOCK = ".lock"
_FEWEST, _MOST, _UNITS = 8, 256, 64
_PAUSE = 0.5
_REPORT_S = 5.0
"""Seconds between two looks at what other workers have added, while this one embeds: each look
opens the indexes of all of them."""


@dataclass(frozen=True)
class _Unit:
    """Consecutive inputs that one worker embeds."""

    lock: Path
    clips: Sequence[Input]


class Worker:
    """Embeds pending inputs in one process.

    Attributes:
        failed: Number of inputs that failed in this process.
    """

    def __init__(
        self,
        folder: VectorFolder,
        model: Model,
        device: torch.device,
        pending: Pending,
        known: FindKnown,
        progress: Progress,
    ) -> None:
        """Prepare the worker.

        Args:
            folder: The folder to fill.
            model: The model of its header.
            device: Device of the model.
            pending: Inputs that the folder lacks.
            known: Finds the vectors of files with the same content.
            progress: Receives warnings, and the number of inputs that are done.
        """
        self.failed = self._inputs = 0
        self._next_report, self._report_s = 0.0, 0.0
        self._folder, self._encoder, self._device = folder, model.encoder, device
        self._pending, self._known, self._progress = pending, known, progress
        self._cut = partial(whole_windows, hop=folder.header.hop)

    def run(self, clips: Sequence[Input], rank: int = 0, workers: int = 1) -> None:
        """Embed inputs until none is pending, waiting for those that others embed.

        Args:
            clips: All inputs, in an order that all workers share.
            rank: Rank of this worker; each starts at a different unit.
            workers: Number of workers.
        """
        self._inputs = len(clips)
        self._report_s = _REPORT_S if workers > 1 else 0.0
        units = self._split(clips)
        first = rank * len(units) // workers
        units = [*units[first:], *units[:first]]
        with VectorWriter(self._folder) as writer:
            while self._pending:
                units = [unit for unit in units if self._open(unit)]
                if not self._embed_free(units, writer):
                    time.sleep(_PAUSE)
                self._report()
        for path in self._folder.path.glob(f"*{_LOCK}"):  # of killed workers
            if (lock := Lock(path, required=False)).take():
                _remove(path, lock)

    def _split(self, clips: Sequence[Input]) -> list[_Unit]:
        # The size depends on the inputs only, so that all workers have the same units.
        size = _FEWEST
        while size < _MOST and size * 2 * _UNITS <= len(clips):
            size *= 2
        return [
            _Unit(self._folder.path / f"{first:08d}{_LOCK}", clips[first : first + size])
            for first in range(0, len(clips), size)
        ]

    def _open(self, unit: _Unit) -> list[Input]:
        return [clip for clip in unit.clips if clip in self._pending]

    def _embed_free(self, units: Sequence[_Unit], writer: VectorWriter) -> bool:
        """Embed the units that no other worker has locked. Returns whether there was one."""
        locks: dict[Path, Lock] = {}
        claimed = self._claim(units, locks)
        try:
            for path, parts in groupby(
                map_ahead(self._load, claimed, DECODERS), lambda one: one[0]
            ):
                self._embed((part for _, part in parts), writer)
                writer.flush()
                _remove(path, locks[path])
                self._report()
        finally:
            for lock in locks.values():
                lock.release()
        return bool(locks)

    def _claim(
        self, units: Sequence[_Unit], locks: dict[Path, Lock]
    ) -> Iterator[tuple[Path, Input]]:
        """Lock free units and yield their pending inputs.

        It never waits for a locked unit, because the inputs that are being read ahead keep their
        own units locked.
        """
        for unit in filter(self._open, units):
            # Without file locks two workers may embed the same file: one result counts.
            lock = Lock(unit.lock, required=False)
            if not lock.take():
                continue
            self._report()
            clips = self._open(unit)
            if clips:
                locks[unit.lock] = lock
            else:
                _remove(unit.lock, lock)
            for clip in clips:
                yield unit.lock, clip

    def _load(self, claimed: tuple[Path, Input]) -> tuple[Path, Loaded]:
        path, clip = claimed
        loaded = load(clip, self._encoder.sample_rate, self._known)
        if loaded.shortfall is not None:
            warn_short(self._progress.warn, clip.name, loaded.shortfall)
        return path, loaded

    def _embed(self, loaded: Iterator[Loaded], writer: VectorWriter) -> None:
        waiting: deque[Loaded] = deque()
        clips = self._to_embed(loaded, waiting, writer)
        for group in embed_groups(self._encoder, clips, device=self._device, cut=self._cut):
            raise_if_interrupted()
            for result in group:
                self._add(waiting.popleft(), result, writer)
            # Only after a complete group: the same command then resumes with the same groups.
            if writer.flush(only_if_due=True) and time.monotonic() >= self._next_report:
                self._report()

    def _to_embed(
        self, loaded: Iterator[Loaded], waiting: deque[Loaded], writer: VectorWriter
    ) -> Iterator[Clip | BadInputError]:
        """Yield the clips that the folder does not know by another name or date."""
        for part in loaded:
            if part.known is not None and part.version is not None:
                vectors, known = part.known
                writer.add(
                    part.input.id,
                    part.version,
                    vectors,
                    windows=known.windows,
                    sha256=part.sha256,
                    shortfall=known.shortfall,
                    silent=known.silent,
                )
            elif part.clip is not None:
                # Its waveform is freed once it is embedded.
                waiting.append(replace(part, clip=None))
                yield part.clip

    def _add(
        self, part: Loaded, result: ClipEmbedding | BadInputError, writer: VectorWriter
    ) -> None:
        name, version, digest = part.input.id, part.version, part.sha256
        try:
            if isinstance(result, BadInputError):
                raise result
            vectors = pool_windows(result.windows, self._folder.header, str(part.input.path))
        except BadInputError as error:
            unknown = FileVersion(str(absolute_path(part.input.path)), 0, 0)
            writer.fail(name, version or unknown, str(error), sha256=digest)
            if not is_silent_reason(str(error)):
                self.failed += 1
                warn_skipped(self._progress.warn, str(error), self._inputs)
            return
        assert version is not None
        writer.add(
            name,
            version,
            vectors,
            windows=len(result.windows),
            sha256=digest,
            shortfall=part.shortfall,
            silent=result.silent,
        )

    def _report(self) -> None:
        self._progress.advance(self._pending.update(), failed=str(self.failed))
        self._next_report = time.monotonic() + self._report_s


def _remove(path: Path, lock: Lock) -> None:
    """Remove the file of a lock, then release it."""
    path.unlink(missing_ok=True)
    lock.release()
