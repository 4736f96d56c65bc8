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
from mscol_tasks.files import absence_notes, json_position, read_object, with_audio
from mscol_tasks.tables import whole_number

FAMILIES = (
    "bass", "brass", "flute", "guitar", "keyboard", "mallet", "organ", "reed", "string",
    "synth_lead", "vocal",
)  # fmt: skip
FAMILY = "instrument_family"
SPLITS: tuple[Split, ...] = ("train", "valid", "test")
EXAMPLES = "examples.json"
TEST = "nsynth-test"


class NSynth(Task):
    """The instrument family of single notes.

    Layout: `DATA/nsynth-{train,valid,test}/examples.json` and `audio/<key>.wav` beside each.
    Labels are the official family ids, 0 to 10. The official test set has no synth_lead. Folders
    `nsynth-test-NAME`, such as one of recorded notes, are more test sets, scored beside `test`.
    """

    protocol = ProbeProtocol(hidden=512, learning_rate=3e-4)

    def __init__(self, options: NoOptions) -> None:
        self.options = options

    def load(self, folder: Path) -> TaskData:
        """Read the JSON files and find the notes."""
        more = sorted(path.parent.name for path in folder.glob(f"{TEST}-*/{EXAMPLES}"))
        named: dict[str, TaskItem] = {}
        test_sets: dict[str, frozenset[str]] = {}
        for name in (*(f"nsynth-{split}" for split in SPLITS), *more):
            path = folder / name / EXAMPLES
            found = {item.id: item for item in _notes(path, _split_of(name))}
            if again := named.keys() & found.keys():
                raise _problem(path, min(again), "is in two splits")
            named |= found
            if name.startswith(TEST):
                test_sets[name.removeprefix("nsynth-")] = frozenset(found)
        items, missing = with_audio([*named.values()], folder)
        notes = absence_notes(FAMILIES, items)
        return TaskData(FAMILIES, items, missing, notes, test_sets if more else {})


def _split_of(folder: str) -> Split:
    return next(split for split in SPLITS if folder.startswith(f"nsynth-{split}"))


def _notes(path: Path, split: Split) -> Iterator[TaskItem]:
    audio = path.parent / "audio"
    for key, example in read_object(path).items():
        if not isinstance(example, dict):
            raise _problem(path, key, "is not a JSON object: unpack it again")
        family = _family(path, key, example)
        groups = {"instrument": _instrument(path, key, example)}
        yield TaskItem(key, _audio(path, audio, key), split, (family,), groups)


def _audio(path: Path, audio: Path, key: str) -> Path:
    try:
        if "/" not in key:
            return inside(audio, f"{key}.wav")
    except BadInputError:
        pass
    raise _problem(path, key, "is outside the folder audio")


def _family(path: Path, key: str, example: Mapping[str, Any]) -> int:
    if FAMILY not in example:
        raise _problem(path, key, f"lacks {FAMILY}: unpack it again")
    value = example[FAMILY]
    family = whole_number(str(value))
    if family is None or family >= len(FAMILIES):
        wanted = f"a whole number from 0 to {len(FAMILIES) - 1}"
        raise _problem(path, key, f"has {FAMILY} {value!r}, not {wanted}", FAMILY)
    name = example.get("instrument_family_str", FAMILIES[family])
    if name != FAMILIES[family]:
        both = f"{FAMILY} {family}, which is {FAMILIES[family]}, and instrument_family_str {name!r}"
        raise _problem(path, key, f"has {both}: correct one", FAMILY)
    return family


def _instrument(path: Path, key: str, example: Mapping[str, Any]) -> str:
    name = example.get("instrument_str", key.partition("-")[0])
    if not isinstance(name, str) or not name:
        raise _problem(path, key, f"has instrument_str {name!r}, not a name", "instrument_str")
    return name


def _problem(path: Path, key: str, what: str, *fields: str) -> BadInputError:
    """Build the error for a note, or for a field of it, with its location."""
    return BadInputError(f"{path}{json_position(path, key, *fields)}: note '{key}' {what}.")
