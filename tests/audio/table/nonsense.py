"""Files whose header claims a sample rate or a number of channels that makes no sense."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from tests.audio.table import build_av as av
from tests.audio.table import build_ogg as ogg
from tests.audio.table import build_pcm as pcm
from tests.audio.table import edit

RATES = (0, 1, 7, 4_000_000_000, (1 << 31) - 1)
CHANNELS = (0, 255, 65535)
_PLAIN = (44100, 1)


def nonsense() -> Iterator[tuple[str, bytes]]:
    """File name and content."""
    makers = {"wav": _wav, "w64": _w64, "aiff": _aiff, "au": _au, "caf": _caf, "tta": _tta}
    for suffix, make in makers.items():
        for rate in RATES:
            yield f"rate-{rate}.{suffix}", make(rate, _PLAIN[1])
        for channels in CHANNELS:
            yield f"channels-{channels}.{suffix}", make(_PLAIN[0], channels)
    for rate in (1, 7):  # FLAC with 0 is decoded: its frames have the rate, too
        yield f"rate-{rate}.flac", edit.flac_streaminfo(ogg.flac(), rate=rate)
    for rate in (0, 1, 7):
        yield f"rate-{rate}.ogg", _vorbis(rate, 1)
        yield f"rate-{rate}.m4a", _m4a(rate, 1)
    for hertz in (*RATES, float("nan"), float("inf"), -44100.0):
        yield f"rate-{hertz}.mka", _mka(hertz, 1)
    for channels in (0, 255):
        yield f"channels-{channels}.mka", _mka(44100.0, channels)
    yield f"rate-{(1 << 31) - 1}.ogg", _vorbis((1 << 31) - 1, 1)
    yield "channels-0.ogg", _vorbis(44100, 0)
    yield "channels-255.ogg", _vorbis(44100, 255)
    yield "channels-255.m4a", _m4a(44100, 255)


def _wav(rate: int, channels: int) -> bytes:
    data = edit.riff_chunks(pcm.wav())[b"data"]
    return edit.riff([(b"fmt ", edit.pcm_header(rate, channels)), (b"data", data)])


def _w64(rate: int, channels: int) -> bytes:
    content = pcm.written("W64", "PCM_16")
    return _replaced(content, edit.pcm_header(*_PLAIN), edit.pcm_header(rate, channels))


def _aiff(rate: int, channels: int) -> bytes:
    content = pcm.written("AIFF", "PCM_16")
    place = content.index(b"COMM") + 8
    content = content[:place] + struct.pack(">H", channels) + content[place + 2 :]
    return content[: place + 8] + _extended(rate) + content[place + 18 :]


def _extended(value: int) -> bytes:
    """An 80-bit float, as AIFF has it."""
    bits = value.bit_length()
    return struct.pack(">HQ", 16382 + bits if value else 0, value << (64 - bits))


def _au(rate: int, channels: int) -> bytes:
    content = pcm.written("AU", "PCM_16")
    return content[:16] + struct.pack(">II", rate, channels) + content[24:]


def _caf(rate: int, channels: int) -> bytes:
    content = pcm.written("CAF", "PCM_16")
    place = content.index(b"desc") + 12
    content = content[:place] + struct.pack(">d", rate) + content[place + 8 :]
    return content[: place + 24] + struct.pack(">I", channels) + content[place + 28 :]


def _tta(rate: int, channels: int) -> bytes:
    content = av.encoded("tta", "tta")
    head = content[:6] + struct.pack("<H", channels) + content[8:10] + struct.pack("<I", rate)
    head += content[14:18]
    return head + struct.pack("<I", zlib.crc32(head)) + content[22:]


def _vorbis(rate: int, channels: int) -> bytes:
    first, *pages = edit.ogg_pages(ogg.encoded("vorbis"))
    place = first.index(b"\x01vorbis") + 11
    first = first[:place] + struct.pack("<BI", channels, rate) + first[place + 5 :]
    return edit.ogg_page(first) + b"".join(pages)


def _m4a(rate: int, channels: int) -> bytes:
    """ALAC, whose own header says it too."""
    content = av.encoded("ipod", "alac")
    cookie = struct.pack(">I", 44100)
    first = content.index(b"alac", content.index(b"stsd")) + 4
    second = content.index(b"alac", first) + 4
    content = content[: first + 16] + struct.pack(">H", channels) + content[first + 18 :]
    content = content[: first + 24] + struct.pack(">H", rate) + content[first + 26 :]
    content = content[: second + 13] + bytes([channels]) + content[second + 14 :]
    place = content.index(cookie, second)
    return content[:place] + struct.pack(">I", rate) + content[place + 4 :]


def _mka(rate: float, channels: int) -> bytes:
    """PCM in Matroska: its sampling frequency is a float of 64 bits."""
    content = av.encoded("matroska", "pcm_s16le")
    content = _replaced(content, struct.pack(">d", 44100.0), struct.pack(">d", rate))
    place = content.index(b"\x9f\x81", content.index(b"\x16\x54\xae\x6b"))
    return content[: place + 2] + bytes([channels]) + content[place + 3 :]


def _replaced(content: bytes, old: bytes, new: bytes) -> bytes:
    assert content.count(old) == 1
    return content.replace(old, new)
