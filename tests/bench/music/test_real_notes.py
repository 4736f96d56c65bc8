"""Recorded notes from packages of the npm registry."""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bench.music.real_notes import REAL_INSTRUMENTS, read_notes, write_real_notes
from mscol_cli.api import NoOptions
from mscol_cli.synthetic.files import write_mp3
from mscol_tasks.nsynth import FAMILIES, NSynth
from tests.helpers.tasks import write_nsynth


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """A package per instrument with one note of a second."""
    folder = tmp_path / "npm"
    folder.mkdir()
    second = (0.1 * np.sin(np.arange(44_100) / 20)).astype(np.float32)
    write_mp3(folder / "note.mp3", second, 44_100)
    for instrument, (_, version) in REAL_INSTRUMENTS.items():
        path = folder / f"tonejs-instrument-{instrument}-mp3-{version}.tgz"
        with tarfile.open(path, "w:gz") as package:
            package.add(folder / "note.mp3", "package/As3.mp3")
            package.add(folder / "note.mp3", "package/../../A3.mp3")
    return folder


def test_pitches_are_read_from_names_of_notes_alone(packages: Path) -> None:
    [(pitch, _)] = read_notes(next(packages.glob("*tuba*")))
    assert pitch == 58


def test_notes_have_the_length_and_rate_of_nsynth(packages: Path, tmp_path: Path) -> None:
    write_real_notes(tmp_path / "out", packages)
    notes = sorted((tmp_path / "out/nsynth-test-real/audio").iterdir())
    assert len(notes) == len(REAL_INSTRUMENTS)
    audio, rate = soundfile.read(notes[0])
    assert (len(audio), rate) == (4 * 16_000, 16_000)
    assert np.abs(audio[8_000:12_000]).max() > 0.05
    assert not audio[20_000:].any()


def test_the_task_has_them_as_a_test_set(packages: Path, tmp_path: Path) -> None:
    root = tmp_path / "out"
    write_real_notes(root, packages)
    write_nsynth(root, {split: {f"{split}-1": 0} for split in ("train", "valid", "test")})
    data = NSynth(NoOptions()).load(root)
    assert len(data.test_sets["test-real"]) == len(REAL_INSTRUMENTS)
    [tuba] = [item for item in data.items if item.id == "brass_tuba-058-100"]
    assert FAMILIES[tuba.labels[0]] == "brass"
