"""Damage of a few bytes, where a format has a sign of it; found by changing files at random."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.audio.table import build_av as av
from tests.audio.table import build_mp3 as mp3
from tests.audio.table import build_ogg as ogg
from tests.audio.table import build_pcm as pcm
from tests.audio.table import edit
from tests.audio.table.outcome import Outcome, outcome

WITH_CHECKSUM: dict[str, Callable[[], bytes]] = {
    "a.flac": ogg.flac,
    "a.oga": partial(ogg.encoded, "flac"),
    "a.ogg": partial(ogg.encoded, "vorbis"),
    "a.opus": partial(ogg.encoded, "opus"),
    "a.mka": partial(av.encoded, "matroska", "flac"),
    "a.mp4": partial(av.encoded, "mp4", "flac"),
    "a.tta": partial(av.encoded, "tta", "tta"),
    "a.wv": partial(av.encoded, "wv", "wavpack"),
}


@pytest.mark.parametrize("name", WITH_CHECKSUM)
@pytest.mark.parametrize("share", [0.35, 0.5, 0.8])
def test_a_changed_byte_is_noticed(tmp_path: Path, name: str, share: float) -> None:
    content = bytearray(WITH_CHECKSUM[name]())
    content[int(share * len(content))] ^= 0xFF
    result = decoded(tmp_path / name, bytes(content))
    assert result.reason is not None or result.shortfall is not None


def decoded(path: Path, content: bytes) -> Outcome:
    path.write_bytes(content)
    return outcome(path, 3.0)


@pytest.mark.parametrize("kind", ["cbr", "vbr", "vbr-bare"])
def test_bytes_lost_or_doubled_in_an_mp3_are_noticed(tmp_path: Path, kind: str) -> None:
    """Also where the file is as long as its header says, or longer."""
    whole = mp3.encoded(kind)
    place = len(whole) // 2
    for damaged in (
        whole[:place] + whole[place + 2 :],
        whole[:place] + b"\0" + whole[place:],
        whole[: place + 3000] + whole[place:],
    ):
        assert "could not be decoded" in (decoded(tmp_path / "a.mp3", damaged).shortfall or "")


def test_bytes_lost_in_a_joined_mp3_are_noticed(tmp_path: Path) -> None:
    """Joining adds more samples than these two bytes cost."""
    whole = mp3.joined("vbr")
    damaged = whole[:14590] + whole[14592:]
    assert "could not be decoded" in (decoded(tmp_path / "a.mp3", damaged).shortfall or "")


def test_joined_mp3_without_the_second_header_declare_no_length(tmp_path: Path) -> None:
    """The first header counts 4 s, and more are decoded."""
    whole = mp3.joined("cbr")
    second = whole.index(b"Info", 1000)
    result = decoded(tmp_path / "a.mp3", whole[: second - 2000] + whole[second + 2000 :])
    assert result.shortfall is not None
    assert (result.declared, result.seconds > 5) == (None, True)


def test_a_codec_that_there_is_not_is_named_as_the_reason(tmp_path: Path) -> None:
    whole = av.encoded("matroska", "libmp3lame")
    reason = decoded(tmp_path / "a.mka", whole.replace(b"A_MPEG/L3", b"A_MPEG/LX")).reason
    assert "FFmpeg" in (reason or "")


def test_fragments_that_cannot_be_reached_are_counted(tmp_path: Path) -> None:
    """FFmpeg ends at a damaged fragment of an MP4 file, whatever follows."""
    shortfall = decoded(tmp_path / "a.m4a", edit.removed(av.fragmented())).shortfall
    assert "%" in (shortfall or "")


def test_a_size_beyond_any_file_is_a_damaged_header(tmp_path: Path) -> None:
    whole = pcm.written("W64", "PCM_16")
    damaged = whole[:56] + b"\xff" * 7 + b"\x7f" + whole[64:]
    reason = decoded(tmp_path / "a.w64", damaged).reason
    assert "truncated or damaged" in (reason or "")
