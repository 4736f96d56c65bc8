"""`store.json`: what a store is, how it was made, and whether it is finished."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from hashlib import sha256
from pathlib import Path
from typing import Any

from mscol_cli.errors import MissingDataError, UsageError
from mscol_cli.store.segments import SAMPLE_RATE
from mscol_cli.system.files import read_json, write_json

_FORMAT, _VERSION = "mscol-store", 2
HEADER = "store.json"
TRACKS = "tracks.jsonl"
LEVELS = "levels.npy"
FAILURES = "failures.jsonl"
SHARDS = "shards"


def shard_name(number: int) -> str:
    """A shard's path in the store."""
    return f"{SHARDS}/{number:05d}.npy"


@dataclass(frozen=True)
class SeparatorIdentity:
    """Which separator filled a store, and how.

    Attributes:
        name: Of its card.
        owner: Distribution that brought it.
        version: Of that distribution.
        options: Every option, JSON values.
        passport: Facts it states: weights and their hashes, licence.
    """

    name: str
    owner: str = ""
    version: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    passport: Mapping[str, str] = field(default_factory=dict)

    def differences(self, other: SeparatorIdentity) -> list[str]:
        """What `other` would do differently, each as `setting old -> new`; its version may differ.

        Settings that follow from another one are left out: of another separator all others, of
        another model its licence and hashes.
        """
        if self.name != other.name:
            return [_difference("separator", self.name, other.name)]
        return [
            *_differences(self.options, other.options),
            *_differences(self.passport, other.passport, decisive="model"),
        ]


def _differences(
    old: Mapping[str, Any], new: Mapping[str, Any], decisive: str | None = None
) -> list[str]:
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    if decisive in names:
        names = [decisive]
    return [_difference(name, old.get(name), new.get(name)) for name in names]


def _difference(name: str, old: object, new: object) -> str:
    return f"{name} {_in_words(old)} -> {_in_words(new)}"


def _in_words(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, (list, tuple)):
        return ",".join(map(str, value)) or "none"
    # Digits enough to tell two hashes apart.
    return re.sub(r"\b([0-9a-f]{12})[0-9a-f]{52}\b", r"\1", str(value))


@dataclass(frozen=True)
class StoreHeader:
    """The content of `store.json`.

    Attributes:
        sources: In storage order, `mixture` first.
        separator: Who filled it.
        sealed: Whether it is finished; the rest is known from then on.
        tracks: How many.
        segments: How many.
        failures: Inputs that could not be used.
        hours: Of music, each track counted once.
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

    @property
    def hash(self) -> str:
        """Identifies what the store holds: a hash over the sources and the data's checksums."""
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
            MissingDataError: There is none.
            UsageError: It is not a store's, or was written by another layout's mscol.
        """
        path = folder / HEADER
        content = read_json(path, "store")
        _check_version(path, content)
        try:
            separator = SeparatorIdentity(**content["separator"])
            known = {item.name: content[item.name] for item in fields(StoreHeader)}
        except (KeyError, TypeError):
            raise UsageError(
                f"{path} is incomplete: restore it, or separate again with -o"
            ) from None
        return StoreHeader(**{**known, "sources": tuple(known["sources"]), "separator": separator})


def read_sealed(folder: Path) -> StoreHeader:
    """Read the `store.json` of a finished store; raises as `StoreHeader.read`, or MissingDataError
    for one that is not finished."""
    header = StoreHeader.read(folder)
    if not header.sealed:
        raise MissingDataError(f"{folder} is not finished: run `mscol separate ...` again")
    return header


def _check_version(path: Path, content: Mapping[str, Any]) -> None:
    if content.get("format") != _FORMAT:
        raise UsageError(f"{path} is no store of mscol: name another folder")
    version = content.get("version")
    if version != _VERSION:
        age = "a newer" if isinstance(version, int) and version > _VERSION else "an older"
        raise UsageError(
            f"{path.parent} was written by {age} mscol (layout {version}, this one reads"
            f" {_VERSION}): separate again with -o elsewhere"
        )
