"""Which tracks a store holds, and what they were made from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mscol_cli.store.records import FileStamp, hashes


class Stored:
    """Tracks that are written, by id."""

    def __init__(self, records: Mapping[str, Mapping[str, Any]]) -> None:
        """Take the newest record of each track, as parsed JSON."""
        self._records = records

    @property
    def tracks(self) -> frozenset[str]:
        """Their ids."""
        return frozenset(self._records)

    def stamps(self, track_id: str) -> dict[str, FileStamp]:
        """The files that a track was made from, by role."""
        files = self._records[track_id]["files"]
        return {role: FileStamp(**stamp) for role, stamp in files.items()}

    def holds(self, track_id: str, files: Mapping[str, Path]) -> bool:
        """Whether the track is there, made from files of this same content."""
        return track_id in self._records and matches(self.stamps(track_id), files)

    def made_from(self, track_id: str, files: Mapping[str, FileStamp]) -> bool:
        """Whether the track is there, made from files of these hashes."""
        return track_id in self._records and hashes(self.stamps(track_id)) == hashes(files)

    def by_content(self) -> dict[tuple[tuple[str, str], ...], str]:
        """Ids by the hashes of what they were made from, each with its role."""
        return {
            tuple(sorted(hashes(self.stamps(track_id)).items())): track_id
            for track_id in self._records
        }


def matches(stamps: Mapping[str, FileStamp], files: Mapping[str, Path]) -> bool:
    """Whether files still have the content that stamps were made of; they are read only where size
    or time differ."""
    return stamps.keys() == files.keys() and all(
        stamp.matches(files[role]) for role, stamp in stamps.items()
    )
