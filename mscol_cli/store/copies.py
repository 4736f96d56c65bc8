"""`stems.jsonl`, which lies beside listening copies: who separated, which tracks are written."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mscol_cli.errors import MscolError, UsageError
from mscol_cli.store.header import SeparatorIdentity
from mscol_cli.store.journal import Journal

RECORD = "stems.jsonl"
_FORMAT, _VERSION = "mscol-stems", 1
Done = dict[tuple[str, str], Mapping[str, str]]
"""SHA-256 of its inputs, by role, for each track and format."""


@dataclass(frozen=True)
class CopiesHeader:
    """First line of the record: who separated.

    Attributes:
        separator: Name, options, weights and their licence.
    """

    separator: SeparatorIdentity

    def to_line(self) -> str:
        """One line of JSON, with its line end."""
        fixed = {"format": _FORMAT, "version": _VERSION}
        return json.dumps({**fixed, "separator": asdict(self.separator)}) + "\n"


@dataclass(frozen=True)
class CopyRecord:
    """One track whose copies are written.

    Attributes:
        id: Its name.
        format: Suffix of its files.
        inputs: SHA-256 of the files it was made from, by role.
        sample_rate: Hz.
        gain: What all its sources were multiplied by so that none exceeds full scale.
    """

    id: str
    format: str
    inputs: Mapping[str, str]
    sample_rate: int
    gain: float

    def to_line(self) -> str:
        """One line of JSON, with its line end."""
        return json.dumps(asdict(self)) + "\n"


def copies_done(folder: Path, separator: SeparatorIdentity) -> Done:
    """What the record of a folder, which need not exist, says is written.

    Raises:
        UsageError: The folder holds something else, or copies by another separator.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file: choose another place with --export-dir.")
    try:
        journal = Journal(folder / RECORD)
        found = _differences(journal.records, separator)
        done = {(line["id"], line["format"]): line["inputs"] for line in journal.records[1:]}
    except (MscolError, AttributeError, KeyError, TypeError):
        raise UsageError(f"{folder / RECORD} is damaged: choose another --export-dir.") from None
    names = {entry.name for entry in folder.iterdir()} if folder.exists() else set()
    if not journal.records and any(name != RECORD and name[0] != "." for name in names):
        raise UsageError(
            f"{folder} is not empty and holds no copies by mscol: choose another with --export-dir."
        )
    if found:
        raise UsageError(
            f"{folder} holds copies made with other settings ({'; '.join(found)}): choose another"
            " with --export-dir."
        )
    return done


def _differences(records: Sequence[Mapping[str, Any]], separator: SeparatorIdentity) -> list[str]:
    if not records:
        return []
    if (records[0]["format"], records[0]["version"]) != (_FORMAT, _VERSION):
        return ["by another mscol"]
    return SeparatorIdentity(**records[0]["separator"]).differences(separator)
