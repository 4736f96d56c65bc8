"""Recorded notes from packages of the npm registry, as a test set beside that of a soundfont.

The packages are those of tonejs-instruments, whose samples are under CC BY 3.0. An instrument has
one package, with a file per note.
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import resample_poly

from bench.music.packages import fetch_npm
from bench.music.synth import RATE, Floats
from mscol_cli.synthetic.files import write_wav
from mscol_cli.synthetic.instruments import FAMILIES
from mscol_cli.synthetic.notes import NOTE_SECONDS
from mscol_cli.synthetic.nsynth import write_split

REAL_INSTRUMENTS = {
    "bass-electric": ("bass", "1.1.2"), "bassoon": ("reed", "1.1.2"),
    "cello": ("string", "1.1.1"), "clarinet": ("reed", "1.1.2"),
    "contrabass": ("string", "1.1.2"), "flute": ("flute", "1.1.2"),
    "french-horn": ("brass", "1.1.2"), "guitar-acoustic": ("guitar", "1.1.2"),
    "guitar-electric": ("guitar", "1.1.1"), "guitar-nylon": ("guitar", "1.1.1"),
    "harmonium": ("organ", "1.1.1"), "harp": ("string", "1.1.1"), "organ": ("organ", "1.1.1"),
    "piano": ("keyboard", "1.1.2"), "saxophone": ("reed", "1.1.2"), "trombone": ("brass", "1.1.2"),
    "trumpet": ("brass", "1.1.2"), "tuba": ("brass", "1.1.2"), "violin": ("string", "1.1.1"),
    "xylophone": ("mallet", "1.1.2"),
}  # fmt: skip
"""Family and version of the package of each instrument; none is a synth_lead or vocal."""
SEMITONES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
VELOCITY = 100
NAME = re.compile(r"package/([A-G])(s?)([0-8])\.mp3")
"""File of a note: letter, sharp and octave."""


def write_real_notes(root: Path, packages: Path) -> None:
    """Write recorded notes as the split `test-real` of NSynth, as 16 kHz WAV files of 4 s.

    Args:
        root: Folder of the data set.
        packages: Folder of the packages; missing ones are downloaded.
    """
    audio = root / "nsynth-test-real" / "audio"
    audio.mkdir(parents=True, exist_ok=True)
    described: dict[str, dict[str, object]] = {}
    for instrument, (family, version) in REAL_INSTRUMENTS.items():
        package = fetch_npm(f"tonejs-instrument-{instrument}-mp3", version, packages)
        for pitch, content in sorted(read_notes(package)):
            name = f"{family}_{instrument}-{pitch:03d}-{VELOCITY}"
            path = audio / f"{name}.wav"
            if not path.exists():
                part = path.with_suffix(".part")
                write_wav(part, decode(content), RATE)
                part.replace(path)
            described[name] = {
                "note_str": name,
                "instrument_str": f"{family}_{instrument}",
                "pitch": pitch,
                "velocity": VELOCITY,
                "sample_rate": RATE,
                "instrument_family": FAMILIES.index(family),
                "instrument_family_str": family,
            }
    write_split(root, "test-real", described)


def read_notes(package: Path) -> Iterator[tuple[int, bytes]]:
    """MIDI pitches and MP3 files of a package."""
    with tarfile.open(package) as members:
        for member in members:
            file = members.extractfile(member) if member.isreg() else None
            if file is not None and (match := NAME.fullmatch(member.name)):
                letter, sharp, octave = match.groups()
                pitch = 12 * (int(octave) + 1) + SEMITONES[letter] + bool(sharp)
                yield pitch, file.read()


def decode(content: bytes) -> Floats:
    """Decode a note: mono, 16 kHz, and as long as those of NSynth."""
    audio, rate = soundfile.read(BytesIO(content), dtype="float32", always_2d=True)
    mono = resample_poly(audio.mean(axis=1), RATE, rate)
    samples = round(NOTE_SECONDS * RATE)
    note = np.zeros(samples, np.float32)
    note[: len(mono)] = mono[:samples]
    return note
