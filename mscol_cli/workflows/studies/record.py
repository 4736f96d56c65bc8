"""The study that a folder belongs to, so that a changed one does not mix with what it holds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mscol_cli import __version__
from mscol_cli.errors import UsageError
from mscol_cli.files import read_json, write_json
from mscol_cli.recipes import Study

RECORD = "study.json"
WORDS = ("title",)
ABSENT = "not there"


def check_record(folder: Path, study: Study, begun: bool) -> None:
    """Refuse a folder in which another study has finished or begun stages.

    Raises:
        UsageError: The study's file has changed since; the message says where.
    """
    path = folder / RECORD
    if not path.is_file():
        return
    before, now = _flat(read_json(path, "study").get("study", {})), _flat(study.content)
    changed = [
        f"{name} was {before.get(name, ABSENT)}, now {now.get(name, ABSENT)}"
        for name in {**before, **now}
        if name not in WORDS and before.get(name) != now.get(name)
    ]
    if changed and begun:
        raise UsageError(
            f"{folder} was begun with another study: {'; '.join(changed)}. Undo the change, or"
            " choose another -o."
        )


def write_record(folder: Path, study: Study) -> None:
    """Note which study the folder belongs to."""
    content = {"mscol": __version__, "name": study.name, "study": dict(study.content)}
    write_json(folder / RECORD, content)


def _flat(values: Mapping[str, Any], of: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= _flat(value, f"{of}{name}.") if isinstance(value, dict) else {of + name: value}
    return flat
