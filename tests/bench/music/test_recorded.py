"""Recorded music: pieces, splits and the folders that are built."""

from __future__ import annotations

import csv
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import resample_poly

from bench.music.build import main
from bench.music.packages import RECORDED, Package, unpack_music
from bench.music.pieces import SAME, Floats, fingerprint, group, similarities
from bench.music.recorded import Track, in_pieces, make_recorded, without_repeats
from tests.helpers.audio import write_audio

RATE = 8_000
needs_dpkg = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg-deb is missing")


def tune(seed: int, seconds: int = 50) -> Floats:
    """Chords of random pitches, two per second, (1, samples) at 8 kHz."""
    rng, time = np.random.default_rng(seed), np.arange(RATE // 2) / RATE
    beats = []
    for _ in range(2 * seconds):
        hertz = 110 * 2 ** (rng.integers(0, 40, size=3) / 12)
        beats.append(np.sin(2 * np.pi * hertz[:, None] * time).sum(axis=0) * np.exp(-3 * time))
    return np.asarray(0.2 * np.concatenate(beats)[None], np.float32)


def lossy(audio: Floats) -> Floats:
    """Half the bandwidth, other level, noise, and a later start."""
    narrow = resample_poly(resample_poly(audio[0, 1_000:], 1, 2), 2, 1)
    noise = np.random.default_rng(0).normal(0, 0.005, len(narrow))
    return np.asarray((0.3 * narrow + noise)[None], np.float32)


@pytest.fixture(scope="module")
def similarity(tmp_path_factory: pytest.TempPathFactory) -> Floats:
    """Of a tune, a lossy copy, a part of it, another tune, and the tune with a silent half."""
    folder, first = tmp_path_factory.mktemp("tunes"), tune(1)
    silent = np.concatenate([first, np.zeros_like(first)], axis=1)
    prints = []
    for number, audio in enumerate(
        (first, lossy(first), first[:, 40_000:280_000], tune(2), silent)
    ):
        path = folder / f"{number}.wav"
        write_audio(path, audio, RATE)
        prints.append(fingerprint(path))
    return similarities(prints)


def test_copies_parts_and_extensions_are_the_same_piece(similarity: Floats) -> None:
    assert (similarity[0, [1, 2, 4]] > SAME).all()
    assert np.array_equal(similarity, similarity.T)
    assert similarity.max() <= 1.001


def test_other_music_and_silence_are_not(similarity: Floats) -> None:
    assert (similarity[3, [0, 1, 2, 4]] < SAME / 2).all()


def test_names_of_one_folder_that_differ_by_a_variant_are_one_piece() -> None:
    names = ["a/egypt.ogg", "a/egypt_fast.ogg", "b/egypt.ogg", "a/snow_remake.ogg",
             "a/snow_remake_fast.ogg", "a/track1.ogg", "a/track2.ogg"]  # fmt: skip
    assert group(names, np.eye(7, dtype=np.float32)) == [0, 0, 2, 3, 3, 5, 6]


def test_groups_are_connected_through_a_third_track() -> None:
    similarity = np.eye(4, dtype=np.float32)
    similarity[0, 3] = similarity[3, 0] = similarity[3, 1] = similarity[1, 3] = 0.9
    assert group(list("abcd"), similarity) == [0, 0, 2, 0]


def track(path: str, seconds: float, split: str = "train") -> Track:
    assert split in ("train", "test")
    return Track(path, "any", "test" if split == "test" else "train", path, seconds, True, "", "")


def test_a_piece_of_two_splits_is_held_out_and_its_longest_track_kept() -> None:
    tracks = [track("a.ogg", 60), track("b.ogg", 90, "test"), track("c.ogg", 30)]
    similarity = np.eye(3, dtype=np.float32)
    similarity[0, 1] = similarity[1, 0] = 0.8
    grouped = without_repeats(in_pieces(tracks, similarity), similarity)
    assert [row.split for row in grouped] == ["test", "test", "train"]
    assert [row.piece for row in grouped] == ["a.ogg", "a.ogg", "c.ogg"]
    assert [row.kept for row in grouped] == [False, True, True]


def test_packages_are_listed_once_and_in_every_split() -> None:
    assert len({package.name for package in RECORDED}) == len(RECORDED) == 18
    assert {package.split for package in RECORDED} == {"train", "valid", "test"}


def write_package(folder: Path, name: str, files: dict[str, Floats]) -> None:
    """Build a .deb file with audio below usr/share/games/NAME and a copyright file."""
    root = folder / f"root-{name}"
    for path, audio in files.items():
        write_audio(root / "usr/share/games" / name / path, audio, RATE)
    for path, text in {
        "DEBIAN/control": f"Package: {name}\nVersion: 1\nArchitecture: all\n"
        "Maintainer: A <a@example.org>\nDescription: music\n",
        f"usr/share/doc/{name}/copyright": "CC0",
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    (root / "DEBIAN").chmod(0o755)
    command = ["dpkg-deb", "--build", "-Znone", str(root), str(folder / f"{name}_1_all.deb")]
    subprocess.run(command, check=True, capture_output=True)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Track]]:
    """Two packages; one tune is in both, and one file is an effect."""
    folder = tmp_path_factory.mktemp("recorded")
    first, second = tune(1), tune(2)
    write_package(folder, "one", {"music/a.wav": first, "music/jingle.wav": first[:, :8_000],
                                  "sounds/b.wav": second})  # fmt: skip
    write_package(folder, "two", {"music/c.wav": second, "music/d.wav": lossy(first)})
    write_audio(folder / "excerpts" / "x.wav", second[:, 80_000:320_000], RATE)
    packages = [Package("one", ("games/one/music/",)), Package("two", ("games/two/",), "test")]
    return folder, make_recorded(folder / "out", folder, folder / "excerpts", packages)


@needs_dpkg
def test_music_is_unpacked_without_effects_and_split_by_piece(
    built: tuple[Path, list[Track]],
) -> None:
    folder, tracks = built
    out = folder / "out"
    files = {path.relative_to(out).as_posix() for path in out.glob("t*/**/*.wav")}
    assert files == {"test/one/games/one/music/a.wav", "test/two/games/two/music/c.wav"}
    assert [row.kept for row in tracks] == [True, True, False]
    assert (out / tracks[0].licence).read_text() == "CC0"
    with (out / "manifest.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows] == [row.path for row in tracks]
    assert [row["excerpts"] for row in rows] == ["", "x.wav", ""]


@needs_dpkg
def test_a_second_run_builds_nothing_again(built: tuple[Path, list[Track]]) -> None:
    folder, tracks = built
    for archive in folder.glob("*.deb"):
        archive.write_bytes(b"")
    packages = [Package("one", ("games/one/music/",)), Package("two", ("games/two/",), "test")]
    assert make_recorded(folder / "out", folder, folder / "excerpts", packages) == tracks


@needs_dpkg
def test_a_damaged_package_leaves_no_folder(tmp_path: Path) -> None:
    (tmp_path / "one_1_all.deb").write_bytes(b"!<arch>\n")
    with pytest.raises(SystemExit, match=r"one_1_all\.deb"):
        unpack_music(tmp_path / "one_1_all.deb", RECORDED[0], tmp_path / "one")
    assert not (tmp_path / "one").exists()


def test_a_package_that_cannot_be_downloaded_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit, match="apt-get is missing"):
        main(["recorded", str(tmp_path / "out"), "--packages-dir", str(tmp_path)])
