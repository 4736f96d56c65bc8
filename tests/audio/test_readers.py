"""How files are opened and read: by content, as regular files only, within bounds."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from mscol_cli.audio import audio_header, durations, open_audio, read_audio
from mscol_cli.audio.matroska import is_cut
from mscol_cli.audio.mpeg import frame_bytes, is_tag
from mscol_cli.audio.ogg import OggPages
from mscol_cli.audio.source import SourceFile
from mscol_cli.errors import BadInputError, UnreadableInputError
from tests.audio.table.build_mp3 import encoded
from tests.audio.table.edit import mp3_frames, ogg_page, ogg_pages, ogg_position, riff, riff_chunks
from tests.helpers.audio import tones, write_audio, write_short


def renamed(path: Path, name: str) -> Path:
    return path.rename(path.with_name(name))


@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3", "ogg"])
def test_content_decides_not_the_name(tmp_path: Path, suffix: str) -> None:
    path = write_audio(tmp_path / f"a.{suffix}", tones(1.0))
    expected = read_audio(path).samples
    for name in ("b.m4a", "b.wav", "b.mp3", "b"):
        path = renamed(path, name)
        np.testing.assert_array_equal(read_audio(path).samples, expected)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_a_pipe_is_never_opened(tmp_path: Path) -> None:
    pipe, link = tmp_path / "a.wav", tmp_path / "b.wav"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    for path in (pipe, link):
        with pytest.raises(BadInputError, match="is not a file"):
            read_audio(path)
        assert audio_header(path) is None
        assert durations(path) == (None, None)


@pytest.mark.skipif(sys.platform != "linux", reason="file names need not be text on Linux alone")
@pytest.mark.parametrize("suffix", ["wav", "mp3"])
def test_names_that_are_not_text_are_read(tmp_path: Path, suffix: str) -> None:
    path = write_audio(tmp_path / f"a.{suffix}", tones(1.0))
    path = renamed(path, os.fsdecode(b"caf\xe9." + suffix.encode()))
    assert read_audio(path).seconds == pytest.approx(1.0, abs=0.1)


class _BrokenDisk:
    """An open file whose reads fail behind its first bytes."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self.seek, self.close = file.seek, file.close

    def readinto(self, buffer: Any) -> int:
        if self._file.tell() + len(buffer) > 40_000:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return int(self._file.readinto(buffer))


@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3", "ogg"])
def test_an_error_of_the_disk_is_not_taken_for_a_damaged_file(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_audio(tmp_path / f"a.{suffix}", tones(8.0, 44100), 44100)
    opened = SourceFile.__init__

    def broken(self: SourceFile, *arguments: Any) -> None:
        opened(self, *arguments)
        self._file = _BrokenDisk(self._file)  # type: ignore[assignment]

    monkeypatch.setattr(SourceFile, "__init__", broken)
    with pytest.raises(UnreadableInputError, match="Input/output error"):
        read_audio(path)


def test_a_missing_file_may_come_back(tmp_path: Path) -> None:
    with pytest.raises(UnreadableInputError, match="no such file"):
        read_audio(tmp_path / "a.wav")


@pytest.mark.parametrize("channels", [2, 7, 8, 9, 16])
def test_compressed_files_may_have_many_channels(tmp_path: Path, channels: int) -> None:
    path, samples = tmp_path / "a.ogg", tones(0.5, 16000, channels)
    with soundfile.SoundFile(path, "w", 16000, channels) as file:
        for start in range(0, samples.shape[1], 1000):
            file.write(samples[:, start : start + 1000].T)
    audio = read_audio(path)
    assert audio.samples.shape == samples.shape
    np.testing.assert_allclose(audio.samples.std(axis=1), samples.std(axis=1), rtol=0.3)


@pytest.mark.parametrize(
    ("rate", "channels", "word"),
    [(7, 1, "7 Hz"), (900_000, 1, "900000 Hz"), (16000, 65, "65 channels")],
)
def test_headers_that_make_no_sense_are_refused(
    tmp_path: Path, rate: int, channels: int, word: str
) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros((100, channels), dtype=np.float32), rate)
    with pytest.raises(BadInputError, match=word):
        read_audio(path)


@pytest.mark.parametrize("links", [1, 2])
@pytest.mark.parametrize("level", [0.0, 1.0])
def test_vorbis_in_a_single_page_is_read_to_the_sample(
    tmp_path: Path, links: int, level: float
) -> None:
    path = write_audio(tmp_path / "a.ogg", np.float32(level) * tones(0.5))
    expected = soundfile.read(path, dtype="float32")[0]
    path.write_bytes(links * path.read_bytes())
    decoded = read_audio(path).samples[0]
    np.testing.assert_allclose(decoded, np.tile(expected, links), atol=5e-7)


@pytest.mark.parametrize("trimmed", [104, 2000])
@pytest.mark.parametrize("cut", [False, True])
def test_vorbis_whose_start_was_trimmed_is_read_as_libvorbis_does(
    tmp_path: Path, trimmed: int, cut: bool
) -> None:
    path = write_audio(tmp_path / "a.ogg", tones(8.0, 44100), 44100)
    pages = ogg_pages(path.read_bytes())
    (first, *_) = positions = [ogg_position(page) for page in pages if ogg_position(page) > 0]
    assert len(positions) > 2
    shifted = [
        ogg_page(page, later=-first - trimmed if ogg_position(page) > 0 else 0) for page in pages
    ]
    path.write_bytes(b"".join(shifted[:-1] if cut else shifted))
    expected = soundfile.read(path, dtype="float32")[0]
    audio = read_audio(path)
    np.testing.assert_array_equal(audio.samples[0], expected)
    assert len(expected) > 44100
    assert audio.shortfall == ("cut off: its last page is missing" if cut else None)
    header = audio_header(path)
    assert header is not None
    assert header.seconds == pytest.approx(len(expected) / 44100, abs=0.5)


def test_a_free_bit_rate_is_the_reason_for_a_refusal(tmp_path: Path) -> None:
    frames = mp3_frames(encoded("cbr-bare"))
    path = tmp_path / "a.mp3"
    path.write_bytes(b"".join(f[:2] + bytes([f[2] & 0x0F]) + f[3:] for f in frames))
    with pytest.raises(BadInputError, match="a free bit rate"):
        read_audio(path)


def test_samples_in_two_chunks_are_refused(tmp_path: Path) -> None:
    content = write_audio(tmp_path / "a.wav", tones(2.0)).read_bytes()
    chunks = riff_chunks(content)
    half = len(chunks[b"data"]) // 2
    pieces = [(b"data", chunks[b"data"][:half]), (b"data", chunks[b"data"][half:])]
    (tmp_path / "a.wav").write_bytes(riff([(b"fmt ", chunks[b"fmt "]), *pieces]))
    with pytest.raises(BadInputError, match=r"a\.wav: damaged: its samples are in two chunks"):
        read_audio(tmp_path / "a.wav")


def test_both_channels_are_kept_where_mono_becomes_stereo(tmp_path: Path) -> None:
    """Of two MP3 files joined, the second has silence on the left and music on the right."""
    music = tones(2.0, 44100)
    right = np.concatenate([np.zeros_like(music), music])
    parts = [write_audio(tmp_path / "1.mp3", music, 44100)]
    parts.append(write_audio(tmp_path / "2.mp3", right, 44100))
    path = tmp_path / "joined.mp3"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    samples = read_audio(path).samples
    assert samples.shape[0] == 1
    assert np.std(samples[:, 3 * 44100 :]) > 0.2 * np.std(music)


@pytest.mark.parametrize(("lost", "words"), [(1, "1 of its pages is"), (2, "2 of its pages are")])
def test_lost_pages_of_ogg_are_counted(lost: int, words: str) -> None:
    assert OggPages(lost=lost).damage == f"damaged: {words} missing"


def test_blocks_stay_small_where_resampling_makes_them_long(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros((200_000, 2), dtype=np.float32), 1000)
    with open_audio(path) as stream:
        longest = max(block.shape[1] for block in stream.blocks(rate=44100))
    assert longest * 44.1 * 2 <= 1 << 21


def test_who_decodes_is_warned_of_a_short_file(tmp_path: Path) -> None:
    path = write_short(tmp_path / "a.mp3", tones(4.0))
    said: list[str] = []
    read_audio(path, said.append)
    assert len(said) == 1
    assert "shorter than its header says" in said[0]


@pytest.mark.parametrize(
    ("packet", "tag"),
    [
        (b"ID3\4" + bytes(100), True),
        (b"TAG" + bytes(125), True),
        (bytes(3000), True),
        (bytes(30_000), False),
        (b"\xff\xfb\x90\x64" + bytes(32) + b"Info" + bytes(100), True),
        (b"\xff\xfb\x90\x64" + b"\x55" * 400, False),
    ],
)
def test_tags_among_mp3_frames_are_no_loss(packet: bytes, tag: bool) -> None:
    assert is_tag(packet) == tag


@pytest.mark.parametrize(
    ("header", "size"),
    [
        (b"\xff\xfb\x90\x64", 417),  # layer III, 128 kbit/s, 44.1 kHz, without padding
        (b"\xff\xfb\x92\x64", 418),
        (b"\xff\xfb\x00\x64", 0),  # at a free bit rate
        (b"ID3\4", None),
    ],
)
def test_a_frame_of_mp3_tells_its_size(header: bytes, size: int | None) -> None:
    assert frame_bytes(header) == size


@pytest.mark.parametrize(
    ("content", "cut"),
    [
        (b"\x1a\x45\xdf\xa3\x80" + b"\x18\x53\x80\x67\x83" + b"\xec\x81\0", False),
        (b"\x1a\x45\xdf\xa3\x80" + b"\x18\x53\x80\x67\x84" + b"\xec\x81\0", True),
        (
            b"\x1a\x45\xdf\xa3\x80" + b"\x18\x53\x80\x67\xff" + b"\x1f\x43\xb6\x75\xff\xa3\x82\0\0",
            False,
        ),
        (
            b"\x1a\x45\xdf\xa3\x80" + b"\x18\x53\x80\x67\xff" + b"\x1f\x43\xb6\x75\xff\xa3\x82\0",
            True,
        ),
    ],
)
def test_a_cut_matroska_file_is_noticed(tmp_path: Path, content: bytes, cut: bool) -> None:
    (tmp_path / "a.mka").write_bytes(content)
    with SourceFile(tmp_path / "a.mka") as source:
        assert is_cut(source) == cut


def test_decoders_may_be_shown_other_bytes_than_the_file_has(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"0123456789")
    with SourceFile(tmp_path / "a") as source:
        source.overlay(3, b"abc")
        assert source.read() == b"012abc6789"
        assert source.at(4, 3) == b"bc6"
        assert source.at(0, 4) == b"012a"
    with SourceFile(tmp_path / "a").part(2, 6) as part:
        assert (part.size, part.read(), part.at(1, 9)) == (4, b"2345", b"345")


@pytest.mark.parametrize("suffix", ["flac", "wav", "aiff"])
def test_a_lossless_file_with_a_second_one_joined_to_it_is_refused(
    tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"joined.{suffix}"
    soundfile.write(path, np.full((8_001, 1), 0.25, np.float32), 8_000)
    size = path.stat().st_size
    path.write_bytes(path.read_bytes() * 2)
    with pytest.raises(BadInputError, match=f"at byte {size:,}"):
        read_audio(path)
