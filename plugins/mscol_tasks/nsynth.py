"""NSynth, read from its JSON/WAV folders."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mscol_cli.api import (
    BadInputError,
    NoOptions,
    ProbeProtocol,
    Split,
    Task,
    TaskData,
    TaskItem,
    inside,
)
from mscol_tasks.files import absence_notes, read_object, with_audio
from mscol_tasks.tables import whole_number

FAMILIES = (
    "bass", "brass", "flute", "guitar", "keyboard", "mallet", "organ", "reed", "string",
    "synth_lead", "vocal",
)  # fmt: skip
SPLITS: tuple[Split, ...] = ("train", "valid", "test")


class NSynth(Task):
    """The instrument family of single notes.

    Layout: `DATA/nsynth-{train,valid,test}/examples.json` and `audio/<key>.wav` beside each.
    Labels are the official family ids, 0 to 10. The official test set has no synth_lead.
    """

    protocol = ProbeProtocol(hidden=512, learning_rate=3e-4)

    def __init__(self, options: NoOptions) -> None:
        self.options = options

    def load(self, folder: Path) -> TaskData:
        """Read the three JSON files and find the notes."""
        named: dict[str, TaskItem] = {}
        for split in SPLITS:
            path = folder / f"nsynth-{split}" / "examples.json"
            for item in _notes(path, split):
                if item.id in named:
                    raise BadInputError(f"{path}: note '{item.id}' is in two splits.")
                named[item.id] = item
        items, missing = with_audio([*named.values()], folder)
        return TaskData(FAMILIES, items, missing, absence_notes(FAMILIES, items))


def _notes(path: Path, split: Split) -> Iterator[TaskItem]:
    audio = path.parent / "audio"
    for key, example in read_object(path).items():
        if not isinstance(example, dict):
            raise BadInputError(f"{path}: note '{key}' is not a JSON object: unpack it again.")
        family = _family(path, key, example)
        groups = {"instrument": _instrument(path, key, example)}
        yield TaskItem(key, _audio(path, audio, key), split, (family,), groups)


def _audio(path: Path, audio: Path, key: str) -> Path:
    try:
        if "/" not in key:
            return inside(audio, f"{key}.wav")
    except BadInputError:
        pass
    raise BadInputError(f"{path}: note '{key}' is outside the folder audio.")


def _family(path: Path, key: str, example: Mapping[str, Any]) -> int:
    if "instrument_family" not in example:
        raise BadInputError(f"{path}: note '{key}' lacks instrument_family: unpack it again.")
    value = example["instrument_family"]
    family = whole_number(str(value))
    if family is None or family >= len(FAMILIES):
        raise BadInputError(
            f"{path}: note '{key}' has instrument_family {value!r}, not a whole number from 0 to"
            f" {len(FAMILIES) - 1}."
        )
    name = example.get("instrument_family_str", FAMILIES[family])
    if name != FAMILIES[family]:
        raise BadInputError(
            f"{path}: note '{key}' has instrument_family {family}, which is {FAMILIES[family]},"
            f" and instrument_family_str {name!r}: correct one."
        )
    return family


def _instrument(path: Path, key: str, example: Mapping[str, Any]) -> str:
    name = example.get("instrument_str", key.partition("-")[0])
    if not isinstance(name, str) or not name:
        raise BadInputError(f"{path}: note '{key}' has instrument_str {name!r}, not a name.")
    return name
