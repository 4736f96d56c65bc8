"""Decoding: what comes out, and the one line for each kind of file that cannot be used."""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mscol_cli.audio import durations, load_mono, open_audio, read_audio
from mscol_cli.errors import BadInputError
from tests.helpers.audio import tones, write_audio


def refusal(path: Path) -> str:
    with pytest.raises(BadInputError) as caught:
        read_audio(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    return str(caught.value)


def cut(path: Path, share: float) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3", "aiff"])
def test_formats_are_read_at_their_own_rate(tmp_path: Path, suffix: str) -> None:
    samples = tones(1.0, 44100, channels=2)
    audio = read_audio(write_audio(tmp_path / f"a.{suffix}", samples, 44100))
    assert audio.sample_rate == 44100
    assert audio.samples.shape == samples.shape
    assert audio.samples.dtype.name == "float32"
    assert np.corrcoef(audio.samples[1], samples[1])[0, 1] > 0.95


@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (16000, 1), (44100, 6), (96000, 2)])
def test_any_rate_and_channel_count_becomes_16_khz_mono(
    tmp_path: Path, rate: int, channels: int
) -> None:
    time = np.arange(2 * rate) / rate
    sine = 0.5 * np.sin(2 * np.pi * 440.0 * time).astype(np.float32)
    path = write_audio(tmp_path / "a.wav", np.tile(sine, (channels, 1)), rate)
    mono = load_mono(path, 16000)
    expected = 0.5 * np.sin(2 * np.pi * 440.0 * np.arange(32000) / 16000)
    assert mono.shape == (32000,)
    np.testing.assert_allclose(mono[500:-500], expected[500:-500], atol=0.01)


@pytest.mark.parametrize("suffix", ["wav", "flac", "aiff"])
@pytest.mark.parametrize("share", [0.3, 0.98])
def test_truncated_files_are_refused(tmp_path: Path, suffix: str, share: float) -> None:
    path = write_audio(tmp_path / f"a.{suffix}", tones(1.0, channels=2))
    assert "truncated" in refusal(cut(path, share))


def test_a_truncated_mp3_gives_what_is_there(tmp_path: Path) -> None:
    path = cut(write_audio(tmp_path / "a.mp3", tones(2.0)), 0.5)
    audio = read_audio(path)
    assert 0 < audio.samples.shape[1] < 32000
    assert audio.declared == pytest.approx(2.0, abs=0.1)


def test_a_wav_streamed_without_a_length_is_whole(tmp_path: Path) -> None:
    path = write_audio(tmp_path / "a.wav", tones(1.0))
    content = bytearray(path.read_bytes())
    place = content.index(b"data") + 4
    content[place : place + 4] = struct.pack("<I", 0xFFFFFFFF)
    path.write_bytes(content)
    audio = read_audio(path)
    assert audio.samples.shape == (1, 16000)
    assert audio.declared is None


@pytest.mark.parametrize("suffix", ["wav", "flac", "aiff", "ogg", "mp3"])
def test_a_whole_file_lasts_as_long_as_it_declares(tmp_path: Path, suffix: str) -> None:
    audio = read_audio(write_audio(tmp_path / f"a.{suffix}", tones(2.0, 44100), 44100))
    assert audio.declared == pytest.approx(2.0, abs=0.1)
    assert audio.seconds == pytest.approx(audio.declared, abs=0.1)


@pytest.mark.parametrize("suffix", ["wav", "flac", "aiff"])
def test_a_refused_file_still_tells_how_much_of_it_is_there(tmp_path: Path, suffix: str) -> None:
    path = cut(write_audio(tmp_path / f"a.{suffix}", tones(4.0)), 0.5)
    seconds, declared = durations(path)
    assert "truncated" in refusal(path)
    assert declared == pytest.approx(4.0, abs=0.01)
    assert seconds == pytest.approx(2.0, abs=0.5)


def test_what_is_no_audio_has_no_length(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_text("not music " * 100)
    assert durations(tmp_path / "a.wav") == (None, None)
    assert durations(tmp_path / "gone.wav") == (None, None)


def test_an_mp3_without_a_count_of_frames_declares_nothing(tmp_path: Path) -> None:
    """libsndfile would guess by its size, with the tag at its head taken for music."""
    path = tmp_path / "a.mp3"
    with soundfile.SoundFile(
        path, "w", 16000, 1, format="MP3", bitrate_mode="CONSTANT", compression_level=0.9
    ) as file:
        file.write(tones(4.0).T)
    path.write_bytes(b"ID3\3\0\0\0\0\x1f\x76" + bytes(0x1F * 128 + 0x76) + path.read_bytes())
    audio = read_audio(path)
    assert audio.declared is None
    assert audio.seconds == pytest.approx(4.0, abs=0.2)


def test_files_without_music_say_what_they_are(tmp_path: Path) -> None:
    empty, text, header = tmp_path / "a.wav", tmp_path / "b.wav", tmp_path / "c.wav"
    empty.touch()
    text.write_text("not music " * 100)
    write_audio(header, np.zeros((1, 0), dtype=np.float32))
    assert "0 bytes" in refusal(empty)
    assert "is not audio" in refusal(text)
    assert "no samples" in refusal(header)
    assert "no such file" in refusal(tmp_path / "gone.wav")
    assert "is not a file" in refusal(tmp_path)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_samples_that_are_not_numbers_are_refused(tmp_path: Path, value: float) -> None:
    samples = tones(1.0)
    samples[0, 500] = value
    assert "NaN" in refusal(write_audio(tmp_path / "a.wav", samples))


def test_the_mp3_decoder_is_silent(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = write_audio(tmp_path / "a.mp3", tones(2.0))
    content = bytearray(path.read_bytes())
    content[3000:4000] = np.random.default_rng(0).bytes(1000)
    path.write_bytes(content[:-1000])
    read_audio(path)
    sys.stderr.write("python speaks\n")
    assert capfd.readouterr().err == "python speaks\n"


def test_an_mp3_of_variable_rate_without_a_count_is_read_to_its_end(tmp_path: Path) -> None:
    """libsndfile would stop where size and first bit rate say, after a quarter of it."""
    path = tmp_path / "a.mp3"
    soft, loud = 0.2 * tones(10.0, 44100), np.random.default_rng(0).standard_normal((1, 882_000))
    samples = np.concatenate([np.float32(0.001) * soft, np.float32(0.3) * loud], axis=1)
    soundfile.write(path, samples.T, 44100, bitrate_mode="VARIABLE")
    content = path.read_bytes()
    count = content.index(b"Xing")
    path.write_bytes(content[content.index(b"\xff\xfb", count) :])
    audio = read_audio(path)
    assert audio.seconds == pytest.approx(30.0, abs=0.1)
    assert audio.declared is None


def test_a_file_can_be_decoded_piece_by_piece(tmp_path: Path) -> None:
    path = write_audio(tmp_path / "a.flac", tones(2.0, 44100, channels=2), 44100)
    with open_audio(path) as stream:
        blocks = list(stream.blocks(10_000))
    whole = read_audio(path)
    assert [block.shape[1] for block in blocks[:-1]] == [10_000] * (len(blocks) - 1)
    np.testing.assert_array_equal(np.concatenate(blocks, axis=1), whole.samples)
    assert (stream.seconds, stream.declared) == (whole.seconds, whole.declared)
