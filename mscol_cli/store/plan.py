"""The plan of a separation: which track belongs to which unit. Every worker reads it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from mscol_cli.contracts.separator import TrackInput
from mscol_cli.errors import MissingDataError, MscolError
from mscol_cli.store.header import StoreHeader
from mscol_cli.system.files import exists, write_text
from mscol_cli.system.json_files import parsing, read_json
from mscol_cli.system.values import from_json

WORK = "work"
PLAN = f"{WORK}/plan.json"
GROUP = 8
"""Number of consecutive tracks that are separated together."""
_MAX_UNIT_TRACKS, _UNITS = 64, 16


@dataclass(frozen=True)
class PlannedTrack:
    """One track of a unit.

    Attributes:
        id: Track id.
        files: Paths by role.
        problem: Why the track cannot be separated; None if it can.
        stored: Whether the track is in the store already and only listening copies are missing.
    """

    id: str
    files: Mapping[str, str]
    problem: str | None = None
    stored: bool = False

    @staticmethod
    def of(track: TrackInput, stored: bool) -> PlannedTrack:
        """Plan an input."""
        files = {role: str(path.absolute()) for role, path in track.files.items()}
        return PlannedTrack(track.id, files, track.problem, stored)

    def to_input(self) -> TrackInput:
        """The planned input."""
        files = {role: Path(path) for role, path in self.files.items()}
        return TrackInput(self.id, files, self.problem)


@dataclass(frozen=True)
class Unit:
    """Consecutive tracks that one worker separates, kept in a small store until all are done.

    Attributes:
        number: Number of the unit and its shard.
        tracks: Tracks in order.
    """

    number: int
    tracks: tuple[PlannedTrack, ...]

    def groups(self) -> Iterator[tuple[PlannedTrack, ...]]:
        """Groups of tracks that are separated together."""
        for first in range(0, len(self.tracks), GROUP):
            yield self.tracks[first : first + GROUP]

    def folder(self, store: Path) -> Path:
        """Store of the unit."""
        return store / WORK / f"{self.number:05d}"

    def lock(self, store: Path) -> Path:
        """Lock file of the worker that fills the unit."""
        return store / WORK / f"{self.number:05d}.lock"

    def is_done(self, store: Path) -> bool:
        """Whether all tracks were tried and the results are on disk."""
        try:
            return StoreHeader.read(self.folder(store)).sealed
        except MissingDataError:
            return False


@dataclass(frozen=True)
class Plan:
    """Units that are being added to a store.

    Attributes:
        line_bytes: Size of `tracks.jsonl` before.
        level_rows: Rows of `levels.npy` before.
        units: Units, sorted by number.
    """

    line_bytes: int
    level_rows: int
    units: tuple[Unit, ...] = ()

    def extended(self, tracks: Sequence[PlannedTrack], first: int) -> Plan:
        """Add units for more tracks, numbered from `first` or after the existing units.

        The division into units depends only on the number of tracks.
        """
        number = max([first, *(unit.number + 1 for unit in self.units)])
        size = min(max(-(-len(tracks) // _UNITS), GROUP), _MAX_UNIT_TRACKS)
        runs = [tuple(tracks[start : start + size]) for start in range(0, len(tracks), size)]
        added = tuple(Unit(number + index, run) for index, run in enumerate(runs))
        return Plan(self.line_bytes, self.level_rows, (*self.units, *added))

    def done(self, store: Path) -> frozenset[int]:
        """Numbers of the units that are done."""
        return frozenset(unit.number for unit in self.units if unit.is_done(store))

    def write(self, store: Path) -> None:
        """Write the plan into the work folder, atomically."""
        write_text(store / PLAN, json.dumps(asdict(self), separators=(",", ":")) + "\n")

    @staticmethod
    def read(store: Path) -> Plan | None:
        """Plan of a store that is being filled; None if missing. Raises MscolError."""
        path = store / PLAN
        if not is_planned(store):
            return None
        try:
            content = read_json(path, "plan")
        except MscolError:
            if not is_planned(store):  # sealed by another process in between
                return None
            raise
        with parsing(path, "separate again with -o"):
            return from_json(Plan, content)


def is_planned(store: Path) -> bool:
    """Whether a store has a plan, so that it is not sealed yet."""
    return exists(store / PLAN)
