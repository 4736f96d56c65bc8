"""Songs: exact stems, honest silence, sources and styles that sound different."""

from itertools import product

import numpy as np
import pytest
from scipy import signal

from mscol_cli.api import TOP_TAGS
from mscol_cli.synthetic import (
    RARE_TAGS,
    STEMS,
    Song,
    render_song,
    style_names,
)
from mscol_cli.synthetic.signals import TABLE_SIZE, _read_table

RATE = 16_000


def song(style: str, seed: int = 3, seconds: float = 4.0) -> Song:
    return render_song(style, seconds=seconds, sample_rate=RATE, seed=seed)


@pytest.fixture(scope="module")
def songs() -> list[Song]:
    return [song(style, seed) for style, seed in product(style_names(), (0, 1, 2))]


def centroid(audio: np.ndarray) -> float:
    """Spectral centroid in Hz."""
    hertz, power = signal.welch(audio, RATE, nperseg=1024)
    return float(np.sum(hertz * power) / np.sum(power))


def test_styles_are_those_of_fma_small() -> None:
    assert style_names() == (
        "Hip-Hop", "Pop", "Folk", "Experimental", "Rock", "International", "Electronic",
        "Instrumental",
    )  # fmt: skip


@pytest.mark.parametrize("style", ["Pop", "Experimental"])
def test_same_seed_gives_the_same_samples(style: str) -> None:
    first, second = song(style), song(style)
    assert all(first.stems[name].tobytes() == second.stems[name].tobytes() for name in STEMS)


def test_another_seed_gives_another_song() -> None:
    assert not np.array_equal(song("Rock", 1).mixture, song("Rock", 2).mixture)


def test_stems_add_up_to_the_mixture_even_in_16_bits(songs: list[Song]) -> None:
    for one in songs:
        pcm = {name: np.round(audio * 32768).astype(np.int64) for name, audio in one.stems.items()}
        assert np.array_equal(sum(pcm.values()) / 32768, one.mixture)
        assert all(np.array_equal(pcm[name] / 32768, one.stems[name]) for name in STEMS)


def test_audio_is_float32_of_the_asked_length_and_level(songs: list[Song]) -> None:
    for one in songs:
        assert set(one.stems) == set(STEMS)
        assert all(a.dtype == np.float32 and a.shape == (4 * RATE,) for a in one.stems.values())
        assert 0.5 < np.abs(one.mixture).max() < 0.9


def test_absent_stems_are_exactly_silent_and_present_ones_well_above_the_silence_rule(
    songs: list[Song],
) -> None:
    silent = dict.fromkeys(STEMS, 0)
    for one, name in product(songs, STEMS):
        audio = one.stems[name]
        composed = {"bass": one.score.bass, "drums": one.score.drums, "vocals": one.score.singer}
        if name != "other" and composed[name] is None:
            assert not audio.any()
        silent[name] += not audio.any()
        start, end = (int(edge * RATE) for edge in one.score.presence[name])
        if audio.any() and end - start > 2 * RATE:
            assert np.abs(audio[start:end]).mean() > 0.01
    assert all(silent[name] > 0 for name in ("bass", "drums", "vocals"))


@pytest.mark.slow
def test_sources_pause_within_songs() -> None:
    windows = [one.score.presence[n] for one in map(song, style_names()) for n in STEMS]
    assert any(start > 0 for start, _ in windows)
    assert any(end < 4.0 for _, end in windows)


def test_sources_differ_in_spectrum(songs: list[Song]) -> None:
    means = {
        name: np.mean([centroid(s.stems[name]) for s in songs if s.stems[name].any()])
        for name in STEMS
    }
    assert means["bass"] < 250 < means["vocals"] < means["other"] + 1500
    assert means["vocals"] > 2 * means["bass"]


def test_tags_are_known_and_true(songs: list[Song]) -> None:
    assert len(set(TOP_TAGS)) == 50
    assert not set(TOP_TAGS) & set(RARE_TAGS)
    for one in songs:
        assert one.tags <= {*TOP_TAGS, *RARE_TAGS}
        assert ("no vocals" in one.tags) == (not one.stems["vocals"].any())
        assert ("vocal" in one.tags) == bool(one.stems["vocals"].any())
        assert ("no drums" in one.tags) == (not one.stems["drums"].any())


def test_unknown_style_is_refused() -> None:
    with pytest.raises(KeyError):
        song("Polka")


def test_a_phase_just_below_a_whole_period_is_read() -> None:
    cycles = np.array([np.nextafter(1.0, 0.0)] * 3)
    table = np.tile(np.linspace(0, 1, TABLE_SIZE, dtype=np.float32), (2, 1))
    np.testing.assert_allclose(_read_table(table, cycles), table[0, 0], atol=1e-3)
