"""NSynth from its own JSON/WAV folders."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mscol_cli.api import BadInputError, NoOptions, ProbeProtocol, Split, Task, TaskData, TaskItem
from mscol_tasks.files import absence_notes, read_object, with_audio

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
        named = [item for split in SPLITS for item in _notes(folder / f"nsynth-{split}", split)]
        items, missing = with_audio(named, folder)
        return TaskData(FAMILIES, items, missing, absence_notes(FAMILIES, items))


def _notes(folder: Path, split: Split) -> Iterator[TaskItem]:
    path = folder / "examples.json"
    for key, example in read_object(path).items():
        # An instrument is in one split only, so that keys are unique across the three files.
        family = _family(path, key, example)
        groups = {"instrument": str(example.get("instrument_str", key.partition("-")[0]))}
        yield TaskItem(key, folder / "audio" / f"{key}.wav", split, (family,), groups)


def _family(path: Path, key: str, example: Any) -> int:
    family = example.get("instrument_family") if isinstance(example, dict) else None
    if not isinstance(family, int) or not 0 <= family < len(FAMILIES):
        raise BadInputError(f"{path}: note '{key}' has instrument_family {family}, not 0 to 10.")
    return family
