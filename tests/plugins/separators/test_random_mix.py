"""`separate --separator stems`: stems mixed at random, and degraded ones."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mscol_cli.store import Store
from tests.conftest import Command
from tests.helpers.audio import tones, write_audio
from tests.helpers.files import digests
from tests.helpers.messages import mentions

Capture = pytest.CaptureFixture[str]
SOURCES = ("vocals", "drums", "bass", "other")
RANDOM = ("--opt", "mix=random")


def write_stems(folder: Path, tracks: int, rate: int = 16000) -> Path:
    for track in range(tracks):
        for number, source in enumerate(SOURCES):
            waveform = 0.3 * tones(1.5 + 0.1 * track, rate, seed=10 * track + number)
            write_audio(folder / f"t{track:02}" / f"{source}.wav", waveform, rate)
    return folder


@pytest.fixture
def music(tmp_path: Path) -> Path:
    """Twelve tracks, each of another length."""
    return write_stems(tmp_path / "music", 12)


def origins(music: Path, store: Path) -> dict[str, dict[str, str]]:
    """By track and source, the folder that the source came from, found by its hash."""
    folders = {
        sha256(file.read_bytes()).hexdigest(): file.parent.name for file in music.rglob("*.wav")
    }
    records = map(json.loads, (store / "tracks.jsonl").read_text().splitlines())
    return {
        record["id"]: {role: folders[stamp["sha256"]] for role, stamp in record["files"].items()}
        for record in records
    }


def waveforms(store: Path) -> list[NDArray[np.float32]]:
    opened = Store.open(store)
    return [opened.waveform(0, number) for number in range(len(opened.index.sources))]


def level_db(waveform: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    return float(10 * np.log10(np.mean(waveform**2) / np.mean(other**2)))


def test_mixed_at_random_no_source_stays_and_no_two_of_a_mixture_belong_together(
    mscol: Command, music: Path
) -> None:
    assert mscol("separate", music, "--separator", "stems", *RANDOM) == 0
    found = origins(music, music.parent / "music.store")
    assert len(found) == 12
    for track, sources in found.items():
        assert set(sources) == set(SOURCES)
        assert len({track, *sources.values()}) == 5
    for source in SOURCES:  # each is used once
        assert {sources[source] for sources in found.values()} == set(found)


def test_the_mixture_is_the_sum_of_what_was_drawn_with_silence_after_shorter_stems(
    mscol: Command, music: Path
) -> None:
    write_audio(music / "t00" / "mixture.wav", tones(1.5))
    mscol("separate", music, "--separator", "stems", *RANDOM)
    store = music.parent / "music.store"
    mixture, *stems = waveforms(store)
    np.testing.assert_allclose(mixture, sum(stems), atol=1e-4)
    drawn = next(iter(origins(music, store).values()))
    lengths = [round((1.5 + 0.1 * int(drawn[source][1:])) * 16000) for source in SOURCES]
    assert len(mixture) == max(lengths)
    for stem, length in zip(stems, lengths, strict=True):
        assert stem[:length].any()
        assert not stem[length:].any()


@pytest.mark.slow
@pytest.mark.processes
def test_the_draw_is_the_same_for_any_number_of_jobs_and_another_for_another_seed(
    mscol: Command, music: Path
) -> None:
    for name, *options in (("a",), ("b", "--jobs", 2), ("c", "--opt", "seed=1")):
        line = ("separate", music, "--separator", "stems", *RANDOM, "-o", f"{name}.store")
        assert mscol(*line, *options) == 0
    assert digests(Path("a.store")) == digests(Path("b.store"))
    assert origins(music, Path("a.store")) != origins(music, Path("c.store"))


def test_a_stem_that_a_track_lacks_is_silent_in_the_mixture_that_draws_it(
    mscol: Command, music: Path
) -> None:
    (music / "t03" / "vocals.wav").unlink()
    assert mscol("separate", music, "--separator", "stems", *RANDOM) == 0
    drawn = origins(music, music.parent / "music.store").values()
    assert sum("vocals" not in sources for sources in drawn) == 1


def test_too_few_tracks_to_mix_at_random_are_refused(
    mscol: Command, tmp_path: Path, capsys: Capture
) -> None:
    music = write_stems(tmp_path / "music", 4)
    assert mscol("separate", music, "--separator", "stems", *RANDOM) == 2
    assert "at least 5" in capsys.readouterr().err
    assert not (tmp_path / "music.store").exists()


@pytest.mark.slow
def test_bleed_puts_the_rest_of_the_mixture_into_every_stem(mscol: Command, music: Path) -> None:
    line = ("separate", music, "--separator", "stems")
    mscol(*line, "-o", "true.store")
    assert mscol(*line, "-o", "bleed.store", "--opt", "bleed_db=-10") == 0
    mixture, *stems = waveforms(Path("true.store"))
    degraded_mixture, *degraded = waveforms(Path("bleed.store"))
    np.testing.assert_array_equal(degraded_mixture, mixture)
    for stem, other in zip(stems, degraded, strict=True):
        assert level_db(other - stem, mixture - stem) == pytest.approx(-10, abs=0.01)


def test_a_low_pass_leaves_what_is_below_its_cut_off(mscol: Command, tmp_path: Path) -> None:
    time = np.arange(2 * 44100) / 44100
    low, high = (np.sin(2 * np.pi * hertz * time) / 4 for hertz in (2000, 5000))
    write_audio(
        tmp_path / "music" / "a" / "vocals.wav", (low + high)[None].astype(np.float32), 44100
    )
    line = ("separate", "music", "--separator", "stems", "--opt", "names=vocals")
    assert mscol(*line, "--opt", "lowpass_hz=4000") == 0
    mixture, vocals = waveforms(Path("music.store"))
    middle = slice(4000, -4000)
    spectrum = np.abs(np.fft.rfft(vocals[middle])) / np.abs(np.fft.rfft(mixture[middle])).max()
    hertz = np.fft.rfftfreq(len(vocals[middle]), 1 / 16000)
    assert spectrum[np.argmin(abs(hertz - 2000))] == pytest.approx(1, abs=0.01)
    assert spectrum[hertz > 4300].max() < 0.001


@pytest.mark.slow
def test_a_long_track_is_low_passed_in_chunks_as_if_at_once(
    mscol: Command, tmp_path: Path, capsys: Capture
) -> None:
    song = tmp_path / "music" / "a" / "bass.wav"
    write_audio(song, tones(10, 44100), 44100)
    line = ("--separator", "stems", "--opt", "lowpass_hz=3000", "--opt", "names=bass")
    assert mscol("separate", "music", *line, "--check-chunking", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["chunks"] == 2
    assert found["snr_db"]["bass"] > 70


@pytest.mark.parametrize(
    ("option", "change"),
    [
        ("mix=random", "mix true -> random"),
        ("bleed_db=-10", "bleed_db -120.0 -> -10.0"),
        ("lowpass_hz=4000", "lowpass_hz 0.0 -> 4000.0"),
    ],
)
def test_a_store_of_other_stems_is_refused(
    option: str, change: str, mscol: Command, music: Path, capsys: Capture
) -> None:
    mscol("separate", music, "--separator", "stems")
    assert mscol("separate", music, "--separator", "stems", "--opt", option) == 2
    assert mentions(capsys.readouterr().err, "music.store", f"({change})")


@pytest.mark.parametrize("option", ["mix=false", "bleed_db=3", "lowpass_hz=-1", "seed=-1"])
def test_an_option_out_of_range_is_refused(
    option: str, mscol: Command, music: Path, capsys: Capture
) -> None:
    assert mscol("separate", music, "--separator", "stems", "--opt", option) == 2
    assert option.partition("=")[0] in capsys.readouterr().err
