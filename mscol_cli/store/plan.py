"""Which track belongs to which unit, decided once and read by every worker."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mscol_cli.contracts.separator import TrackInput
from mscol_cli.errors import MissingDataError, MscolError
from mscol_cli.store.header import StoreHeader
from mscol_cli.system.files import read_json, write_text

WORK = "work"
PLAN = f"{WORK}/plan.json"
GROUP = 8
"""Consecutive tracks of a unit that a separator gets at once."""
_LARGEST, _UNITS = 64, 16


@dataclass(frozen=True)
class PlannedTrack:
    """One track of a unit.

    Attributes:
        id: Its name.
        files: Paths by role.
        problem: Why it can only fail.
        stored: The store has it already; only its listening copies are to be made.
    """

    id: str
    files: Mapping[str, str]
    problem: str | None = None
    stored: bool = False

    @staticmethod
    def of(track: TrackInput, stored: bool) -> PlannedTrack:
        """What is to be done for an input."""
        files = {role: str(path) for role, path in track.files.items()}
        return PlannedTrack(track.id, files, track.problem, stored)

    def to_input(self) -> TrackInput:
        """The input as it was when the plan was made."""
        files = {role: Path(path) for role, path in self.files.items()}
        return TrackInput(self.id, files, self.problem)


@dataclass(frozen=True)
class Unit:
    """Consecutive tracks that one worker takes, in a small store of their own until all are done.

    Attributes:
        number: Its own and its shard's.
        tracks: In order.
    """

    number: int
    tracks: tuple[PlannedTrack, ...]

    def groups(self) -> Iterator[tuple[PlannedTrack, ...]]:
        """Tracks that are separated together."""
        for first in range(0, len(self.tracks), GROUP):
            yield self.tracks[first : first + GROUP]

    def folder(self, store: Path) -> Path:
        """Its own store."""
        return store / WORK / f"{self.number:05d}"

    def lock(self, store: Path) -> Path:
        """What the worker that fills it holds."""
        return store / WORK / f"{self.number:05d}.lock"

    def is_done(self, store: Path) -> bool:
        """Whether all of its tracks were tried, and what came of them is on the disk."""
        try:
            return StoreHeader.read(self.folder(store)).sealed
        except MissingDataError:
            return False


@dataclass(frozen=True)
class Plan:
    """What is being added to a store.

    Attributes:
        line_bytes: Bytes of `tracks.jsonl` that were there before.
        level_rows: Rows of `levels.npy` that were there before.
        units: In the order of their numbers.
    """

    line_bytes: int
    level_rows: int
    units: tuple[Unit, ...] = ()

    def extended(self, tracks: Sequence[PlannedTrack], first: int) -> Plan:
        """The plan with units for more tracks; they are numbered from `first`, or after its own.

        How tracks are shared out depends on their number alone.
        """
        number = max([first, *(unit.number + 1 for unit in self.units)])
        size = min(max(-(-len(tracks) // _UNITS), GROUP), _LARGEST)
        runs = [tuple(tracks[start : start + size]) for start in range(0, len(tracks), size)]
        added = tuple(Unit(number + index, run) for index, run in enumerate(runs))
        return Plan(self.line_bytes, self.level_rows, (*self.units, *added))

    def write(self, store: Path) -> None:
        """Write it into the work folder, atomically."""
        write_text(store / PLAN, json.dumps(asdict(self), separators=(",", ":")) + "\n")

    @staticmethod
    def read(store: Path) -> Plan | None:
        """The plan of a store that is being filled; None if there is none. Raises MscolError."""
        path = store / PLAN
        if not path.exists():
            return None
        try:
            content = read_json(path, "plan")
        except MscolError:
            if not path.exists():  # sealed by another process in between
                return None
            raise
        try:
            units = tuple(_unit(unit) for unit in content["units"])
            return Plan(content["line_bytes"], content["level_rows"], units)
        except (KeyError, TypeError):
            raise MscolError(f"{path} is damaged; separate again with -o") from None


def _unit(content: Mapping[str, Any]) -> Unit:
    return Unit(content["number"], tuple(PlannedTrack(**track) for track in content["tracks"]))
