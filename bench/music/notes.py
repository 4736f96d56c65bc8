"""Single notes of every soundfont, in the layout of NSynth.

Training notes come from two soundfonts, test notes from another one. Validation has programs of the
training soundfonts that training lacks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np

from bench.music.clips import in_parallel
from bench.music.instruments import NOTE_FAMILIES, Instruments, fonts_of
from bench.music.synth import RATE, Event, Soundfont
from mscol_cli.contracts.task import Split
from mscol_cli.synthetic.files import write_wav
from mscol_cli.synthetic.instruments import FAMILIES
from mscol_cli.synthetic.notes import HOLD_SECONDS, NOTE_SECONDS, PITCHES, VELOCITIES
from mscol_cli.synthetic.nsynth import write_split
from mscol_cli.synthetic.randomness import pick, stream

SPLITS: tuple[Split, ...] = ("train", "valid", "test")
VALID_EVERY = 4
CHANNEL = 0
SILENT = 1e-4


@dataclass(frozen=True)
class RenderedNote:
    """A note of a soundfont.

    Attributes:
        split: Its split.
        family: Family of NSynth.
        soundfont: Name of the soundfont.
        program: General MIDI program, from 0.
        pitch: MIDI pitch.
        velocity: 1 to 127.
    """

    split: Split
    family: str
    soundfont: str
    program: int
    pitch: int
    velocity: int

    @property
    def instrument(self) -> str:
        return f"{self.family}_{self.soundfont}_{self.program:03d}"

    @property
    def name(self) -> str:
        return f"{self.instrument}-{self.pitch:03d}-{self.velocity:03d}"

    def path(self, root: Path) -> Path:
        """The audio file."""
        return root / f"nsynth-{self.split}" / "audio" / f"{self.name}.wav"


def draw_notes(split: Split, count: int, seed: int) -> list[RenderedNote]:
    """Draw different notes, as many of each family; `count` is rounded up to a multiple of 11."""
    per_family = -(-count // len(FAMILIES))
    return [
        note
        for family in FAMILIES
        for note in islice(_distinct_notes(split, family, seed), per_family)
    ]


def _distinct_notes(split: Split, family: str, seed: int) -> Iterator[RenderedNote]:
    rng, low_high = stream(seed, "notes", split, family), PITCHES[family]
    programs, taken = programs_of(split, family), set[RenderedNote]()
    while True:
        note = RenderedNote(
            split,
            family,
            pick(rng, fonts_of(split)),
            pick(rng, programs),
            int(rng.integers(low_high[0], low_high[1] + 1)),
            pick(rng, VELOCITIES),
        )
        if note not in taken:
            taken.add(note)
            yield note


def programs_of(split: Split, family: str) -> Sequence[int]:
    """Programs of a family in a split; those of validation and training differ."""
    programs = NOTE_FAMILIES[family]
    held_out = programs[1::VALID_EVERY] if len(programs) > 2 else ()
    chosen = {
        "train": [program for program in programs if program not in held_out],
        "valid": list(held_out),
        "test": list(programs),
    }
    return chosen[split]


def write_notes(
    root: Path, counts: dict[Split, int], instruments: Instruments, seed: int, jobs: int
) -> None:
    """Write notes in the layout of NSynth, as 16 kHz WAV files of 4 s.

    Notes outside the range of an instrument, which are silent, are left out.
    """
    notes = [note for split in SPLITS for note in draw_notes(split, counts[split], seed)]
    for split in SPLITS:
        (root / f"nsynth-{split}" / "audio").mkdir(parents=True, exist_ok=True)
    # Grouped by soundfont, which is loaded once per batch.
    batches = [
        [note for note in notes if note.soundfont == font][k::jobs]
        for font in sorted({note.soundfont for note in notes})
        for k in range(jobs)
    ]
    for _ in in_parallel(partial(_write_batch, root, instruments), batches, jobs):
        pass
    for split in SPLITS:
        written = [note for note in notes if note.split == split and note.path(root).exists()]
        write_split(root, split, {note.name: _describe(note) for note in written})


def _write_batch(root: Path, instruments: Instruments, notes: Sequence[RenderedNote]) -> None:
    missing = [note for note in notes if not note.path(root).exists()]
    if not missing:
        return
    font = Soundfont(instruments.soundfont(missing[0].soundfont))
    for note in missing:
        events = [
            Event(0.0, CHANNEL, note.pitch, note.velocity),
            Event(HOLD_SECONDS, CHANNEL, note.pitch, 0),
        ]
        audio = font.render({CHANNEL: note.program}, events, NOTE_SECONDS)[CHANNEL]
        peak = float(np.abs(audio).max())
        if peak < SILENT:
            continue
        part = note.path(root).with_suffix(".part")
        write_wav(part, audio * (0.25 + 0.6 * note.velocity / 127) / peak, RATE)
        part.replace(note.path(root))


def _describe(note: RenderedNote) -> dict[str, object]:
    family = FAMILIES.index(note.family)
    return {
        "note_str": note.name,
        "instrument": note.program,
        "instrument_str": note.instrument,
        "pitch": note.pitch,
        "velocity": note.velocity,
        "sample_rate": RATE,
        "instrument_family": family,
        "instrument_family_str": note.family,
    }
