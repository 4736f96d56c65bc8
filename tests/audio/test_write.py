"""Writing audio: what is read again, what is cut off, and what a format has no room for."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from mscol_cli.audio import headroom, read_audio, write_audio, write_blocks
from mscol_cli.errors import BadInputError
from tests.helpers.audio import tones

FORMATS = ["flac", "wav", "ogg"]


def test_sixteen_bits_are_read_as_they_were_written(tmp_path: Path) -> None:
    steps = np.random.default_rng(0).integers(-32768, 32768, (2, 100_000))
    samples = (steps / 32768).astype(np.float32)
    write_audio(tmp_path / "a.flac", samples, 44100)
    audio = read_audio(tmp_path / "a.flac")
    assert audio.sample_rate == 44100
    assert soundfile.info(tmp_path / "a.flac").subtype == "PCM_16"
    np.testing.assert_array_equal(audio.samples, samples)


def test_a_wav_holds_floats_of_any_size(tmp_path: Path) -> None:
    samples = 3.0 * tones(1.0, 44100, 2)
    write_audio(tmp_path / "a.wav", samples, 44100)
    np.testing.assert_array_equal(read_audio(tmp_path / "a.wav").samples, samples)


@pytest.mark.parametrize("suffix", FORMATS)
def test_blocks_make_the_file_that_the_whole_makes(tmp_path: Path, suffix: str) -> None:
    samples = tones(5.0, 44100, 2)
    write_audio(tmp_path / f"a.{suffix}", samples, 44100)
    blocks = (samples[:, start : start + 65_536] for start in range(0, samples.shape[1], 65_536))
    write_blocks(tmp_path / f"b.{suffix}", blocks, samples.shape, 44100)
    whole, parts = read_audio(tmp_path / f"a.{suffix}"), read_audio(tmp_path / f"b.{suffix}")
    np.testing.assert_array_equal(parts.samples, whole.samples)


def test_ogg_sounds_alike(tmp_path: Path) -> None:
    samples = tones(3.0, 22050, 2)
    write_audio(tmp_path / "a.ogg", samples, 22050)
    audio = read_audio(tmp_path / "a.ogg")
    assert audio.samples.shape == samples.shape
    assert np.corrcoef(audio.samples[1], samples[1])[0, 1] > 0.97


def test_what_exceeds_full_scale_is_cut_off_and_never_wraps(tmp_path: Path) -> None:
    write_audio(tmp_path / "a.flac", np.array([[1.0, 1.5, -1.5, 0.5]], np.float32), 16000)
    top = 32767 / 32768
    assert read_audio(tmp_path / "a.flac").samples.tolist() == [[top, top, -1.0, 0.5]]


def test_headroom_only_turns_down() -> None:
    assert [headroom("ogg", peak) for peak in (0.0, 0.3, 1.0, 2.0)] == [1.0, 1.0, 1.0, 0.5]
    assert headroom("wav", 2.0) == 1.0


@pytest.mark.parametrize(
    ("name", "shape", "rate", "message"),
    [
        ("a.flac", (9, 100), 44100, "FLAC cannot hold 9 channels; use wav or ogg"),
        ("a.flac", (1, 100), 768_000, "FLAC cannot hold 768000 Hz"),
        ("a.ogg", (300, 100), 384_000, "OGG cannot hold 300 channels and 384000 Hz"),
        ("a.wav", (2, 1 << 29), 44100, "WAV cannot hold 12174 s; use flac or ogg"),
    ],
)
def test_what_a_format_has_no_room_for_is_refused(
    tmp_path: Path, name: str, shape: tuple[int, int], rate: int, message: str
) -> None:
    with pytest.raises(BadInputError, match=message):
        write_audio(tmp_path / name, np.broadcast_to(np.float32(0), shape), rate)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_file_that_cannot_be_written_is_an_oserror_and_leaves_nothing(
    tmp_path: Path, suffix: str
) -> None:
    (tmp_path / f"a.{suffix}" / "taken").mkdir(parents=True)
    with pytest.raises(OSError, match="directory"):
        write_audio(tmp_path / f"a.{suffix}", tones(0.1), 16000)
    assert [path.name for path in tmp_path.iterdir()] == [f"a.{suffix}"]
