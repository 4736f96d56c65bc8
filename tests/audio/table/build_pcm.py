"""Uncompressed files: WAV and its relatives, AIFF, AU, CAF."""

from __future__ import annotations

import struct
from functools import cache

from tests.audio.table import edit
from tests.audio.table.chirp import chirp
from tests.audio.table.encode import ffmpeg, sndfile

RATE = 44100


@cache
def written(container: str, subtype: str, channels: int = 1) -> bytes:
    """The chirp in a container of libsndfile."""
    return sndfile(chirp(3, RATE, channels), RATE, container, subtype)


def wav() -> bytes:
    return written("WAV", "PCM_16")


def streamed() -> bytes:
    """As a program writes WAV to a pipe."""
    return edit.wav_with_sizes(wav(), 0xFFFFFFFF, 0xFFFFFFFF)


def never_finished() -> bytes:
    """As a recorder that lost its power leaves it."""
    return edit.wav_with_sizes(wav(), 0, 0)


def never_finished_24() -> bytes:
    return edit.wav_with_sizes(written("WAV", "PCM_24", 2), 0, 36)


def _chunks() -> tuple[tuple[bytes, bytes], tuple[bytes, bytes]]:
    chunks = edit.riff_chunks(wav())
    return (b"fmt ", chunks[b"fmt "]), (b"data", chunks[b"data"])


def list_first() -> bytes:
    form, data = _chunks()
    return edit.riff([(b"LIST", b"INFOINAM\6\0\0\0title\0"), form, data])


def list_behind() -> bytes:
    form, data = _chunks()
    return edit.riff([form, data, (b"LIST", b"INFOINAM\6\0\0\0title\0"), (b"id3 ", bytes(301))])


def data_first() -> bytes:
    form, data = _chunks()
    return edit.riff([data, form])


def aiff_data_first() -> bytes:
    """AIFF allows for any order of its chunks."""
    content = written("AIFF", "PCM_16")
    form, samples = content.index(b"COMM"), content.index(b"SSND")
    return content[:form] + content[samples:] + content[form:samples]


def odd_chunks() -> bytes:
    form, data = _chunks()
    return edit.riff([(b"junk", bytes(77)), form, (b"note", b"odd"), data])


def odd_chunks_unpadded() -> bytes:
    """Some programs forget the byte that makes a chunk even."""
    form, data = _chunks()
    return edit.riff([form, (b"note", b"odd"), data], pad=False)


def trailing_zeros() -> bytes:
    return wav() + bytes(4096)


def imperfect_riff_size() -> bytes:
    """The size of the whole is wrong, that of the samples right."""
    return edit.wav_with_sizes(wav(), len(wav()) - 44, 36)


def rf64() -> bytes:
    return written("RF64", "PCM_16")


def rifx() -> bytes:
    return sndfile(chirp(3, RATE), RATE, "WAV", "PCM_16", endian="BIG")


def aiff_little() -> bytes:
    return sndfile(chirp(3, RATE), RATE, "AIFF", "PCM_16", endian="LITTLE")


def rf64_never_finished() -> bytes:
    """Its sizes of 64 bits are still 0."""
    content = rf64()
    place = content.index(b"ds64") + 8
    return content[:place] + bytes(24) + content[place + 24 :]


def w64_never_finished() -> bytes:
    content = written("W64", "PCM_16")
    place = content.index(b"data\xf3\xac") + 16
    return (
        content[:16] + bytes(8) + content[24:place] + struct.pack("<Q", 24) + content[place + 8 :]
    )


def aiff_never_finished() -> bytes:
    content = written("AIFF", "PCM_16")
    frames, data = content.index(b"COMM") + 10, content.index(b"SSND") + 4
    content = content[:frames] + bytes(4) + content[frames + 4 :]
    return content[:4] + bytes(4) + content[8:data] + bytes(4) + content[data + 4 :]


def adpcm(codec: str) -> bytes:
    return ffmpeg(chirp(3, RATE), RATE, "wav", codec)


def gsm() -> bytes:
    """Blocks of 65 bytes, of which there is an odd number: a byte of padding follows."""
    return sndfile(chirp(3, 8000), 8000, "WAV", "GSM610")


def au_unknown_size() -> bytes:
    """AU allows for a size that is not known."""
    content = written("AU", "PCM_16")
    return content[:8] + struct.pack(">I", 0xFFFFFFFF) + content[12:]


def au_with_note() -> bytes:
    content = written("AU", "PCM_16")
    return content[:4] + struct.pack(">I", 64) + content[8:24] + bytes(40) + content[24:]


def caf_unknown_size() -> bytes:
    """CAF allows for a last chunk whose size is not known."""
    content = written("CAF", "PCM_16")
    place = content.index(b"data") + 4
    return content[:place] + struct.pack(">q", -1) + content[place + 8 :]


def voc_by_sox() -> bytes:
    """One block of VOC, whose size lacks 8 of the 12 bytes of its own header."""
    samples = wav().partition(b"data")[2][4:]
    block = b"\x09" + (len(samples) + 4).to_bytes(3, "little")
    kind = struct.pack("<IBBHI", 44100, 16, 1, 4, 0)
    head = b"Creative Voice File\x1a" + struct.pack("<HHH", 26, 0x10A, 0x1129)
    return head + block + kind + samples + bytes(1)
