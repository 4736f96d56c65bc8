"""Tags of files, and their files: .csv and .json, written while files are tagged."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mscol_cli.errors import UsageError
from mscol_cli.system.files import write_atomically, write_json
from mscol_cli.system.text import csv_cell
from mscol_cli.system.values import as_json


@dataclass(frozen=True)
class Tag:
    """A class of a file or of a window.

    Attributes:
        name: Name of the class.
        score: Calibrated score, from 0 to 1.
        assigned: Whether the score reaches the threshold of its class; for a task with one class
            per file, whether the class is the most probable one.
    """

    name: str
    score: float
    assigned: bool

    def as_json(self) -> dict[str, Any]:
        """Return class, score and assigned in one object."""
        return {"class": self.name, "score": round(self.score, 6), "assigned": self.assigned}


@dataclass(frozen=True)
class TaggedWindow:
    """Tags of a window.

    Attributes:
        start_s: Start of the window in the file, in seconds.
        tags: Tags, the most probable first.
    """

    start_s: float
    tags: Sequence[Tag]


@dataclass(frozen=True)
class TaggedFile:
    """Tags of a file.

    Attributes:
        id: Path of the file below the input folder.
        tags: Tags, the most probable first.
        windows: Tags of each window; None unless they were requested.
    """

    id: str
    tags: Sequence[Tag]
    windows: Sequence[TaggedWindow] | None = None

    def as_json(self) -> dict[str, Any]:
        """Return id, tags and, if requested, windows."""
        content: dict[str, Any] = {"id": self.id, "tags": self.tags}
        return content if self.windows is None else {**content, "windows": self.windows}


Provenance = Mapping[str, Any]


def check_tag_path(path: Path) -> None:
    """Raise UsageError for a path that `write_tags` cannot write to."""
    if path.suffix.lower() not in _WRITERS:
        known = ", ".join(_WRITERS)
        raise UsageError(f"{path} has an unknown format: use the suffix {known}.")
    if path.is_dir():
        raise UsageError(f"{path} is a folder: name a file in it.")


def write_tags(files: Iterable[TaggedFile], path: Path, provenance: Provenance) -> None:
    """Write tags atomically, in the format of the suffix, one file after the other.

    * .csv: columns `id`, for windows `start_s`, and `rank`, `class`, `score`, `assigned`, one row
      per tag; `NAME.csv.json` beside it has the provenance.
    * .json: the provenance and `files`.

    If `files` raises an exception, nothing is written.
    """
    suffix = path.suffix.lower()
    beside = path.with_name(f"{path.name}.json")

    def write(temporary: Path) -> None:
        _WRITERS[suffix](files, temporary, provenance)
        if suffix == ".csv":
            # Never beside tags of another head, even if this process is killed in between.
            beside.unlink(missing_ok=True)

    write_atomically(path, write)
    if suffix == ".csv":
        write_json(beside, dict(provenance))


def _write_csv(files: Iterable[TaggedFile], path: Path, provenance: Provenance) -> None:
    # File names that are not UTF-8 (surrogates) are written as their original bytes.
    with path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        writer = csv.writer(file)
        starts = ["start_s"] if provenance["windows"] else []
        writer.writerow(["id", *starts, "rank", "class", "score", "assigned"])
        for tagged in files:
            writer.writerows(_rows(tagged))
            file.flush()  # other hosts remove a temporary file that looks abandoned


def _rows(tagged: TaggedFile) -> Iterator[list[str]]:
    if tagged.windows is None:
        yield from ([csv_cell(tagged.id), *cells] for cells in _cells(tagged.tags))
        return
    for window in tagged.windows:
        for cells in _cells(window.tags):
            yield [csv_cell(tagged.id), repr(float(window.start_s)), *cells]


def _cells(tags: Sequence[Tag]) -> Iterator[list[str]]:
    for rank, tag in enumerate(tags, 1):
        yield [str(rank), csv_cell(tag.name), f"{tag.score:.6f}", str(tag.assigned).lower()]


def _write_json(files: Iterable[TaggedFile], path: Path, provenance: Provenance) -> None:
    with path.open("w", encoding="utf-8") as file:
        head = json.dumps(as_json(provenance), indent=2).removesuffix("\n}")
        file.write(f'{head},\n  "files": [')
        for number, tagged in enumerate(files):
            file.write(f"{',' if number else ''}\n    {json.dumps(as_json(tagged))}")
            file.flush()  # as above
        file.write("\n  ]\n}\n")


_WRITERS: dict[str, Callable[[Iterable[TaggedFile], Path, Provenance], None]] = {
    ".csv": _write_csv,
    ".json": _write_json,
}
