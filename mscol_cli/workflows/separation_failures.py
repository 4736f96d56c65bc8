"""What a store keeps of the inputs that failed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mscol_cli.audio import durations
from mscol_cli.contracts.separator import TrackInput
from mscol_cli.store import FailureRecord, FileStamp


def failure_records(
    tracks: Sequence[TrackInput], failures: Sequence[tuple[str, str]]
) -> list[FailureRecord]:
    """The failures with the hash of each of their files, and how long those are.

    Args:
        tracks: All inputs.
        failures: Names of those that failed, with the reason.
    """
    # Of two tracks of one name the second failed, because of that.
    by_problem = {(track.id, track.problem): track for track in tracks}
    records = []
    for name, reason in failures:
        track = by_problem.get((name, reason)) or by_problem[name, None]
        stamps = {role: _stamp(path) for role, path in track.files.items()}
        files = {role: stamp for role, stamp in stamps.items() if stamp is not None}
        records.append(FailureRecord(name, reason, files))
    return records


def _stamp(path: Path) -> FileStamp | None:
    try:
        stamp = FileStamp.of(path)
    except OSError:
        return None
    try:
        seconds, declared = durations(path)
    except Exception:  # it is a failure already, with a reason
        return stamp
    return replace(stamp, seconds=seconds, declared_seconds=declared)
