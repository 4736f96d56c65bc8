"""NSynth's layout: ``nsynth-{train,valid,test}`` with ``examples.json`` and ``audio``."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mscol_cli.synthetic.files import write_wav
from mscol_cli.synthetic.instruments import FAMILIES
from mscol_cli.synthetic.notes import (
    NOTE_SAMPLE_RATE,
    PITCHES,
    QUALITIES,
    VELOCITIES,
    instrument_of,
    qualities_of,
    render_note,
    source_of,
)
from mscol_cli.synthetic.randomness import Rng, pick, stream

SOURCES = ("acoustic", "electronic", "synthetic")
HELD_OUT_SHARE = 0.18
TRAIN_INSTRUMENTS = 8
HELD_OUT_INSTRUMENTS = 5


@dataclass(frozen=True)
class NoteEntry:
    """One note of the collection; ``number`` is unique across splits."""

    number: int
    split: str
    family: str
    instrument: int
    pitch: int
    velocity: int

    def name(self, seed: int) -> str:
        """NSynth's ``note_str``, also the file name."""
        return f"{instrument_name(self, seed)}-{self.pitch:03d}-{self.velocity:03d}"


def instrument_name(note: NoteEntry, seed: int) -> str:
    """NSynth's ``instrument_str``, e.g. ``bass_synthetic_003``."""
    source = source_of(instrument_of(note.family, note.instrument, seed=seed))
    return f"{note.family}_{source}_{note.instrument:03d}"


def note_entries(notes: int, seed: int) -> list[NoteEntry]:
    """Notes that cycle through the families; valid and test share instruments that train lacks."""
    held_out = max(1, round(HELD_OUT_SHARE * notes))
    sizes = {"train": notes - 2 * held_out, "valid": held_out, "test": held_out}
    entries: list[NoteEntry] = []
    taken: set[tuple[str, int, int, int]] = set()
    for split, size in sizes.items():
        rng = stream(seed, "notes", split)
        for turn in range(size):
            entries.append(_draw(len(entries), split, turn, taken, rng))
    return entries


def _draw(
    number: int, split: str, turn: int, taken: set[tuple[str, int, int, int]], rng: Rng
) -> NoteEntry:
    families = FAMILIES if split == "train" else tuple(f for f in FAMILIES if f != "synth_lead")
    family = families[turn % len(families)]
    first, amount = (0, TRAIN_INSTRUMENTS)
    if split != "train":
        first, amount = TRAIN_INSTRUMENTS, HELD_OUT_INSTRUMENTS
    low, high = PITCHES[family]
    while True:
        instrument = first + int(rng.integers(amount))
        key = (family, instrument, int(rng.integers(low, high + 1)), pick(rng, VELOCITIES))
        if key not in taken:
            taken.add(key)
            return NoteEntry(number, split, *key)


def write_note(root: Path, note: NoteEntry, seed: int) -> None:
    """Render a note to ``nsynth-<split>/audio/<note_str>.wav``."""
    path = root / f"nsynth-{note.split}" / "audio" / f"{note.name(seed)}.wav"
    path.parent.mkdir(parents=True, exist_ok=True)
    audio = render_note(note.family, note.instrument, note.pitch, note.velocity, seed=seed)
    write_wav(path, audio, NOTE_SAMPLE_RATE)


def write_examples(root: Path, notes: list[NoteEntry], seed: int) -> None:
    """Write the ``examples.json`` of each split."""
    for split in ("train", "valid", "test"):
        described = {n.name(seed): _describe(n, seed) for n in notes if n.split == split}
        write_split(root, split, described)


def write_split(root: Path, split: str, notes: Mapping[str, Mapping[str, object]]) -> None:
    """Write the ``examples.json`` of a split: fields by the name of the note."""
    path = root / f"nsynth-{split}" / "examples.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(notes, indent=1, sort_keys=True) + "\n"
    path.write_text(text, encoding="utf-8")


def _describe(note: NoteEntry, seed: int) -> dict[str, object]:
    specimen = instrument_of(note.family, note.instrument, seed=seed)
    family, source, true = FAMILIES.index(note.family), source_of(specimen), qualities_of(specimen)
    return {
        "note": note.number,
        "note_str": note.name(seed),
        "instrument": 100 * family + note.instrument,
        "instrument_str": instrument_name(note, seed),
        "pitch": note.pitch,
        "velocity": note.velocity,
        "sample_rate": NOTE_SAMPLE_RATE,
        "qualities": [int(quality in true) for quality in QUALITIES],
        "qualities_str": true,
        "instrument_family": family,
        "instrument_family_str": note.family,
        "instrument_source": SOURCES.index(source),
        "instrument_source_str": source,
    }
