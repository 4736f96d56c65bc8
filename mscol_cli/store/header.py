"""`store.json`: sources, separator, state and checksums of a store."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from hashlib import sha256
from pathlib import Path
from typing import Any

from mscol_cli.errors import MissingDataError, UsageError
from mscol_cli.store.segments import SAMPLE_RATE
from mscol_cli.system.files import write_json
from mscol_cli.system.json_files import parsing, read_json
from mscol_cli.system.values import differences, from_json

_FORMAT, _VERSION = "mscol-store", 2
HEADER = "store.json"
TRACKS = "tracks.jsonl"
LEVELS = "levels.npy"
FAILURES = "failures.jsonl"
SHARDS = "shards"


def shard_name(number: int) -> str:
    """Path of a shard in the store."""
    return f"{SHARDS}/{number:05d}.npy"


@dataclass(frozen=True)
class SeparatorIdentity:
    """The separator that filled a store.

    Attributes:
        name: Name of its card.
        owner: Distribution that provides it.
        version: Version of that distribution.
        options: Every option, as JSON values.
        passport: Provenance: weights and their hashes, licence.
    """

    name: str
    owner: str = ""
    version: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    passport: Mapping[str, str] = field(default_factory=dict)

    def differences(self, other: SeparatorIdentity, *, shared: bool = False) -> list[str]:
        """Differing settings as `setting old -> new`, ignoring the version.

        Settings that follow from another one are omitted: all others of another separator, and
        licence and hashes of another model.

        Args:
            other: The identity to compare with.
            shared: Skip options and provenance that only one of them has, such as the hashes of
                weights that are not present. The precision is compared in any case.
        """
        if self.name != other.name:
            return [_difference("separator", self.name, other.name)]
        return [
            *_differences(self.options, other.options, shared),
            *_differences(self._provenance, other._provenance, shared, decisive="model"),
        ]

    @property
    def _provenance(self) -> Mapping[str, str]:
        """The passport, with the precision also where it is the default."""
        return {"precision": "fp32", **self.passport}


def _differences(
    old: Mapping[str, Any], new: Mapping[str, Any], shared: bool, decisive: str | None = None
) -> list[str]:
    changes = {change[0]: change for change in differences(old, new, shared=shared)}
    if decisive in changes:
        changes = {decisive: changes[decisive]}
    return [_difference(*change) for change in changes.values()]


def _difference(name: str, old: object, new: object) -> str:
    return f"{name} {_format_value(old)} -> {_format_value(new)}"


def _format_value(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, (list, tuple)):
        return ",".join(map(str, value)) or "none"
    # Twelve digits distinguish two hashes.
    return re.sub(r"\b([0-9a-f]{12})[0-9a-f]{52}\b", r"\1", str(value))


@dataclass(frozen=True)
class StoreHeader:
    """The content of `store.json`.

    Attributes:
        sources: Names in storage order, `mixture` first.
        separator: The separator that fills the store.
        sealed: Whether the store is finished; the following fields are valid from then on.
        tracks: Number of tracks.
        segments: Number of segments.
        failures: Number of inputs that could not be used.
        inputs: Number of inputs that were planned, by track id; each is a track or failed. None if
            unknown.
        hours: Duration of the music, each track counted once.
        checksums: SHA-256 of every data file, by its path in the store.
    """

    sources: tuple[str, ...]
    separator: SeparatorIdentity
    sealed: bool = False
    tracks: int = 0
    segments: int = 0
    failures: int = 0
    hours: float = 0.0
    checksums: Mapping[str, str] = field(default_factory=dict)
    inputs: int | None = None

    @property
    def hash(self) -> str:
        """Hash of the contents: source names and checksums of the data files."""
        data = {name: value for name, value in self.checksums.items() if name != FAILURES}
        text = json.dumps([self.sources, data], sort_keys=True)
        return sha256(text.encode()).hexdigest()

    def write(self, folder: Path) -> None:
        """Write `store.json`, atomically."""
        fixed = {"format": _FORMAT, "version": _VERSION, "sample_rate": SAMPLE_RATE}
        write_json(folder / HEADER, {**fixed, **asdict(self)})

    @staticmethod
    def read(folder: Path) -> StoreHeader:
        """Read `store.json`.

        Raises:
            MissingDataError: The file does not exist.
            UsageError: The file is not that of a store, or has the layout of another version.
        """
        path = folder / HEADER
        content = read_json(path, "store")
        _check_version(path, content)
        with parsing(path, "restore it, or separate again with -o"):
            for name in REQUIRED:
                content[name]
            header = from_json(StoreHeader, content)
            if not header.sources or len({*header.sources}) < len(header.sources):
                raise ValueError("sources must be different names")
        return header


REQUIRED = tuple(item.name for item in fields(StoreHeader) if item.name != "inputs")
"""Fields of every store.json; others were added later."""


def read_sealed(folder: Path) -> StoreHeader:
    """Read the `store.json` of a sealed store. Raises MissingDataError if it is not sealed, and
    the errors of `StoreHeader.read`."""
    header = StoreHeader.read(folder)
    if not header.sealed:
        raise MissingDataError(f"{folder} is not finished: run `mscol separate ...` again")
    return header


def require_files(folder: Path, names: Iterable[str]) -> None:
    """Check that files of a store exist. Raises MissingDataError."""
    for name in names:
        if not (folder / name).is_file():
            raise MissingDataError(f"{folder} lacks {name}: restore it, or separate again with -o")


def _check_version(path: Path, content: Mapping[str, Any]) -> None:
    if content.get("format") != _FORMAT:
        raise UsageError(f"{path} is not a store of mscol: name another folder")
    version = content.get("version")
    if version != _VERSION:
        age = "a newer" if isinstance(version, int) and version > _VERSION else "an older"
        raise UsageError(
            f"{path.parent} was written by {age} mscol (layout {version}, this one reads"
            f" {_VERSION}): separate again with -o elsewhere"
        )
