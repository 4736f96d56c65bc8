"""Headers that count too few samples, too many, or those of one of two files."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from mscol_cli.audio import read_audio
from mscol_cli.audio.headers import data_bytes
from mscol_cli.audio.source import SourceFile
from mscol_cli.errors import BadInputError
from tests.audio.table import build_av as av
from tests.audio.table import build_ogg as ogg
from tests.audio.table import build_pcm as pcm
from tests.audio.table import edit
from tests.audio.table.chirp import chirp
from tests.audio.table.encode import sndfile

SAMPLES = 3 * pcm.RATE


def decoded(path: Path, content: bytes) -> int:
    """Samples per channel that come out."""
    path.write_bytes(content)
    return int(read_audio(path).samples.shape[1])


def counted(content: bytes, samples: int) -> bytes:
    """FLAC with another number of samples in its header."""
    field = int.from_bytes(content[18:26], "big") >> 36 << 36 | samples
    return content[:18] + field.to_bytes(8, "big") + content[26:]


@pytest.mark.parametrize("count", [1, SAMPLES // 2, SAMPLES - 1, SAMPLES])
@pytest.mark.parametrize("channels", [1, 2])
def test_flac_is_read_on_where_its_header_counts_too_few(
    tmp_path: Path, count: int, channels: int
) -> None:
    content = counted(ogg.flac(16, channels), count)
    assert decoded(tmp_path / "a.flac", content) == SAMPLES


def test_tags_behind_flac_are_not_audio(tmp_path: Path) -> None:
    content = ogg.flac() + edit.ape(b"x" * 9000, header=True)
    assert decoded(tmp_path / "a.flac", content) == SAMPLES


@pytest.mark.parametrize("head", [b"RIFF\0\0\0\0WAVE", b"FORM\0\0\0\0AIFF", b"caff\0\1\0\0"])
def test_gigabytes_of_zeros_are_not_searched_for_chunks(tmp_path: Path, head: bytes) -> None:
    path = tmp_path / "a.wav"
    with path.open("wb") as file:
        file.write(head)
        file.truncate(1 << 34)  # takes no space; a walk in steps of 8 bytes would take an hour
    with SourceFile(path) as source:
        assert data_bytes(source) is None


def half_counted(content: bytes, mark: bytes, size: int, order: str) -> bytes:
    """With half the size behind a mark; `size` is that of the field."""
    place = content.index(mark) + len(mark)
    value = int.from_bytes(content[place : place + size], order)  # type: ignore[arg-type]
    half = (value // 4 * 2).to_bytes(size, order)  # type: ignore[arg-type]
    return content[:place] + half + content[place + size :]


HALF: dict[str, Callable[[], bytes]] = {
    "a.wav": lambda: half_counted(pcm.wav(), b"data", 4, "little"),
    "b.wav": lambda: half_counted(pcm.written("WAV", "PCM_24", 2), b"data", 4, "little"),
    "x.wav": lambda: half_counted(pcm.rifx(), b"data", 4, "big"),
    "a.aiff": lambda: half_counted(pcm.written("AIFF", "PCM_16"), b"SSND", 4, "big"),
    "a.caf": lambda: half_counted(pcm.written("CAF", "PCM_16"), b"data", 8, "big"),
    "a.au": lambda: half_counted(pcm.written("AU", "PCM_16"), b".snd\0\0\0\x18", 4, "big"),
}


@pytest.mark.parametrize("name", HALF)
def test_samples_that_a_header_does_not_count_are_noticed(tmp_path: Path, name: str) -> None:
    """As a recorder that died leaves them, or a WAV file beyond 4 GiB."""
    with pytest.raises(BadInputError, match=r"its header counts (49|50)% of what"):
        decoded(tmp_path / name, HALF[name]())


@pytest.mark.parametrize("behind", [bytes(100_000), b"ID3\4" + bytes(range(256)) * 400, b"x" * 99])
def test_padding_and_tags_behind_the_samples_are_left_alone(tmp_path: Path, behind: bytes) -> None:
    assert decoded(tmp_path / "a.wav", pcm.wav() + behind) == SAMPLES


JOINED: dict[str, Callable[[], bytes]] = {
    "a.rf64": pcm.rf64,
    "a.w64": partial(pcm.written, "W64", "PCM_16"),
    "a.caf": partial(pcm.written, "CAF", "PCM_16"),
    "a.au": partial(pcm.written, "AU", "PCM_16"),
    "a.m4a": av.fast_start,
    "a.tta": partial(av.encoded, "tta", "tta"),
    "a.wv": partial(av.encoded, "wv", "wavpack"),
    "a.wma": partial(av.encoded, "asf", "wmav2"),
}


@pytest.mark.parametrize("name", JOINED)
def test_a_second_file_joined_to_the_first_is_noticed(tmp_path: Path, name: str) -> None:
    content = JOINED[name]()
    with pytest.raises(BadInputError, match=f"joined to it at byte {len(content):,}; split"):
        decoded(tmp_path / name, 2 * content)


def test_fragments_that_each_begin_like_a_file_are_read(tmp_path: Path) -> None:
    content = av.fragmented()
    once = decoded(tmp_path / "a.m4a", content)
    assert decoded(tmp_path / "b.m4a", 2 * content) >= once


def test_chunks_behind_the_samples_of_wave64_are_not_audio(tmp_path: Path) -> None:
    content = pcm.written("W64", "PCM_16")
    content += b"levl" + content[44:56] + struct.pack("<Q", 40) + b"\x7f" * 16
    assert decoded(tmp_path / "a.w64", content) == SAMPLES


def test_the_byte_behind_an_odd_number_of_gsm_blocks_is_not_a_block(tmp_path: Path) -> None:
    content = sndfile(chirp(3, 8000), 8000, "WAV", "GSM610")
    assert decoded(tmp_path / "a.wav", content) == 3 * 8000


@pytest.mark.parametrize("lost", [1, 2, 8])
def test_a_wav_file_that_lacks_its_last_sample_is_truncated(tmp_path: Path, lost: int) -> None:
    with pytest.raises(BadInputError, match="truncated, less than"):
        decoded(tmp_path / "a.wav", pcm.wav()[:-lost])


def test_a_recording_of_nothing_has_no_samples(tmp_path: Path) -> None:
    chunks = edit.riff_chunks(pcm.wav())
    content = edit.riff([(b"fmt ", chunks[b"fmt "]), (b"data", b""), (b"LIST", b"INFO" + bytes(9))])
    with pytest.raises(BadInputError, match="holds no samples"):
        decoded(tmp_path / "a.wav", content)


def dsf() -> bytes:
    """Noise of one bit: two channels of four blocks."""
    content = np.random.default_rng(0).bytes(2 * 4 * 4096)
    size = len(content)
    head = b"DSD " + struct.pack("<QQQ", 28, 92 + size, 0)
    form = struct.pack("<QIIIIIIQII", 52, 1, 0, 2, 2, 2822400, 1, 4 * size, 4096, 0)
    return head + b"fmt " + form + b"data" + struct.pack("<Q", 12 + size) + content


def test_a_cut_dsf_file_is_truncated(tmp_path: Path) -> None:
    assert decoded(tmp_path / "a.dsf", dsf()) == 4 * 4096
    with pytest.raises(BadInputError, match=re.escape("truncated")):
        decoded(tmp_path / "a.dsf", edit.keep(dsf(), 0.6))


@pytest.mark.parametrize(
    ("name", "container", "subtype"), [("a.au", "AU", "ALAW"), ("a.caf", "CAF", "ULAW")]
)
def test_zeros_that_are_not_silence_are_damage(
    tmp_path: Path, name: str, container: str, subtype: str
) -> None:
    content = pcm.written(container, subtype)
    with pytest.raises(BadInputError, match="not silence in its codec"):
        decoded(tmp_path / name, edit.zeroed(content))
