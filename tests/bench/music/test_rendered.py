"""Rendered music and tasks; needs MMA, FluidSynth and a soundfont of the system."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bench.music.clips import ALL_TAGS, Request, read_clip, write_clip
from bench.music.grooves import GrooveFile
from bench.music.instruments import FONTS, Instruments
from bench.music.rendered import make_rendered
from bench.music.song import STEMS
from bench.music.synth import library
from bench.music.tasks import FIRST_ID, make_tasks
from mscol_cli.api import NoOptions
from mscol_cli.contracts.task import Split
from mscol_tasks.fma import FmaSmall
from mscol_tasks.mtat import MagnaTagATune
from mscol_tasks.nsynth import NSynth
from tests.conftest import Command

MMA = {"share": Path("/usr/share/mma"), "bin": Path("/usr/bin")}
SOUNDFONT = Path("/usr/share/sounds/sf2/TimGM6mb.sf2")
MISSING = [
    name
    for name, found in {
        "mma": (MMA["share"] / "lib").is_dir() and (MMA["bin"] / "mma").is_file(),
        "fluidsynth": library() is not None,
        "timgm6mb-soundfont": SOUNDFONT.is_file(),
    }.items()
    if not found
]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
]
FILES = (
    GrooveFile("stdlib/bossanova", ("BossaNova",), 4, "latin"),
    GrooveFile("zoom/house", ("HOUS01",), 4, "electronic"),
)


@pytest.fixture(scope="module")
def instruments(tmp_path_factory: pytest.TempPathFactory) -> Instruments:
    """Those of the system; the three soundfonts are one small one."""
    folder = tmp_path_factory.mktemp("instruments")
    (folder / "mma" / "share").mkdir(parents=True)
    (folder / "mma" / "share" / "mma").symlink_to(MMA["share"])
    (folder / "mma" / "bin").symlink_to(MMA["bin"])
    for font in FONTS:
        (folder / font.package).mkdir()
        (folder / font.package / font.file).symlink_to(SOUNDFONT)
    return Instruments(folder)


def request(folder: Path, number: int) -> Request:
    return Request(folder, FILES, ("timgm",), 3.0, (1, "clip", number))


@pytest.fixture(scope="module")
def clips(instruments: Instruments, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six clips of three seconds."""
    folder = tmp_path_factory.mktemp("clips")
    for number in range(6):
        write_clip(request(folder / str(number), number), instruments)
    return folder


def test_stems_sum_to_the_mixture_and_sound_if_they_have_a_voice(clips: Path) -> None:
    for folder in clips.iterdir():
        audio = {path.stem: soundfile.read(path)[0] for path in folder.glob("*.flac")}
        assert set(audio) == {*STEMS, "mixture"}
        assert {len(samples) for samples in audio.values()} == {48_000}
        stems = np.sum([audio[name] for name in STEMS], axis=0)
        assert np.abs(stems - audio["mixture"]).max() < 1e-3
        voices = {stem for stem, _ in read_clip(folder)["programs"]}
        assert {name for name in STEMS if audio[name].any()} <= voices
        assert np.abs(audio["mixture"]).max() > 0.01


def test_clips_differ_and_both_grooves_have_bass_and_chords(clips: Path) -> None:
    described = [read_clip(folder) for folder in clips.iterdir()]
    assert {clip["groove"] for clip in described} == {file.name for file in FILES}
    assert len({clip["tempo"] for clip in described}) == 6
    for clip in described:
        assert set(clip["tags"]) <= set(ALL_TAGS)
        assert "other" in {stem for stem, _ in clip["programs"]}


def test_the_same_seed_gives_the_same_bytes(
    clips: Path, instruments: Instruments, tmp_path: Path
) -> None:
    for number in (3, 0):
        write_clip(request(tmp_path / str(number), number), instruments)
        for path in sorted((clips / str(number)).iterdir()):
            assert (tmp_path / str(number) / path.name).read_bytes() == path.read_bytes()


def test_clips_are_a_store_of_true_stems(clips: Path, tmp_path: Path, mscol: Command) -> None:
    store = tmp_path / "stems.store"
    assert mscol("separate", str(clips), "--separator", "stems", "-o", str(store)) == 0
    assert len((store / "tracks.jsonl").read_text().splitlines()) == 6


def test_mixtures_are_in_a_folder_of_their_own(
    clips: Path, instruments: Instruments, tmp_path: Path
) -> None:
    counts: dict[Split, int] = {"train": 1, "valid": 0, "test": 1}
    make_rendered(tmp_path, instruments, counts, seconds=2.0)
    for split in ("train", "test"):
        mixture = tmp_path / "mixtures" / split / "00000.flac"
        assert mixture.samefile(tmp_path / split / "00000" / "mixture.flac")


@pytest.fixture(scope="module")
def tasks(instruments: Instruments, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tasks of few short clips and notes."""
    folder = tmp_path_factory.mktemp("tasks")
    make_tasks(folder, instruments, {"train": 8, "valid": 4, "test": 5}, 2.0, 1, 1)
    return folder


def test_every_task_reads_all_its_items(tasks: Path) -> None:
    style = FmaSmall(NoOptions()).load(tasks / "fma")
    tags = MagnaTagATune(NoOptions()).load(tasks / "mtat")
    notes = NSynth(NoOptions()).load(tasks / "nsynth")
    for data, train, test in ((style, 8, 8), (tags, 8, 5), (notes, 11, 11)):
        assert not data.missing
        splits = [item.split for item in data.items]
        assert (splits.count("train"), splits.count("test")) == (train, test)
    assert len(style.classes) == 8
    assert set(tags.classes) <= set(ALL_TAGS)


def test_a_larger_collection_keeps_ids_and_clips(
    tasks: Path, instruments: Instruments, tmp_path: Path
) -> None:
    tables = shutil.ignore_patterns("examples.json", "tracks.csv", "annotations*.csv", "tags.txt")
    tasks = shutil.copytree(tasks, tmp_path / "tasks", copy_function=os.link, ignore=tables)
    before = {path: path.stat().st_ino for path in (tasks / "mtat").rglob("*.flac")}
    make_tasks(tasks, instruments, {"train": 9, "valid": 4, "test": 5}, 2.0, 1, 1)
    after = {path: path.stat().st_ino for path in (tasks / "mtat").rglob("*.flac")}
    assert before.items() < after.items()
    assert len(after) == len(before) + 1
    for path in after:
        (number,) = (int(word) for word in path.stem.split("-")[3:4])
        split, first = next(
            (split, first) for split, first in reversed(FIRST_ID.items()) if number >= first
        )
        source = tasks / "clips" / "tags" / split / f"{number - first:05d}" / "mixture.flac"
        assert path.samefile(source)


def test_no_groove_and_no_soundfont_is_in_training_and_test(tasks: Path) -> None:
    for task in ("style", "tags"):
        described = {
            split: [read_clip(folder) for folder in (tasks / "clips" / task / split).iterdir()]
            for split in ("train", "valid", "test")
        }
        for field in ("groove_family", "soundfont"):
            seen = {clip[field] for clip in described["train"]}
            assert not seen & {clip[field] for clip in described["test"]}
        seen = {clip["groove_family"] for clip in described["train"]}
        assert not seen & {clip["groove_family"] for clip in described["valid"]}
