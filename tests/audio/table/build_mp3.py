"""MP3 files: headers, tags and joins of every kind."""

from __future__ import annotations

from functools import cache

import numpy as np

from tests.audio.table import edit
from tests.audio.table.chirp import FloatArray, chirp
from tests.audio.table.encode import ffmpeg, sndfile

RATE = 44100
BARE = {"write_xing": "0", "id3v2_version": "0"}
VBR = {"flags": "+qscale", "global_quality": "236"}


@cache
def encoded(kind: str, seconds: float = 3.0, rate: int = RATE, channels: int = 1) -> bytes:
    """An MP3 of the chirp: `cbr`, `abr` or `vbr`, with a Xing or Info header or `-bare`."""
    return _encode(kind, chirp(seconds, rate, channels), rate)


def _encode(kind: str, samples: FloatArray, rate: int) -> bytes:
    mode, _, bare = kind.partition("-")
    low = "64k" if rate < 32000 else "128k"
    options = {"cbr": {"b": low}, "abr": {"b": low, "abr": "1"}, "vbr": VBR}[mode]
    return ffmpeg(samples, rate, "mp3", "libmp3lame", options=options, muxer=BARE if bare else None)


def by_libsndfile() -> bytes:
    return sndfile(chirp(3, RATE), RATE, "MP3", "MPEG_LAYER_III", bitrate_mode="VARIABLE")


def with_vbri() -> bytes:
    return edit.vbri(edit.mp3_frames(encoded("vbr-bare")))


def xing_without_count() -> bytes:
    """Its flags say that the number of frames is not there, and it is not."""
    content = encoded("vbr")
    place = content.index(b"Xing")
    flags = bytes([0, 0, 0, content[place + 7] & 0xFE])
    rest = content[place + 12 :]
    first = content.index(b"\xff\xfb", place)
    return content[: place + 4] + flags + rest[: first - place - 12] + bytes(4) + content[first:]


def xing_count_only() -> bytes:
    """The number of frames, but neither bytes nor a table, as some encoders write it."""
    content = encoded("vbr")
    place = content.index(b"Xing")
    first = content.index(b"\xff\xfb", place)
    kept = content[: place + 4] + b"\0\0\0\1" + content[place + 8 : place + 12]
    return kept + bytes(first - place - 12) + content[first:]


def big_id3() -> bytes:
    picture = b"\0image/png\0\3\0" + np.random.default_rng(2).bytes(1 << 20)
    return edit.id3([(b"APIC", picture)]) + encoded("vbr-bare")


def two_id3() -> bytes:
    tags = [edit.id3([(b"TIT2", b"\0first")]), edit.id3([(b"TIT2", b"\0second")])]
    return b"".join(tags) + encoded("vbr-bare")


def id3_saying_info() -> bytes:
    return edit.id3([(b"COMM", b"\0eng\0Info and Xing")]) + encoded("vbr-bare")


def id3_with_length() -> bytes:
    """ID3's TLEN, in milliseconds, is all that says how long it is."""
    return edit.id3([(b"TLEN", b"\x003000")]) + encoded("vbr-bare")


def ape_in_front() -> bytes:
    return edit.ape(b"a comment", header=True) + encoded("vbr-bare")


def ape_behind() -> bytes:
    return encoded("cbr") + edit.ape(b"a comment" * 20, header=False) + edit.id3v1(b"title")


def with_id3v1() -> bytes:
    return encoded("cbr-bare") + edit.id3v1(b"title")


def lyrics_behind() -> bytes:
    text = b"LYRICSBEGIN" + b"IND0000200LYR00010la la la la"
    return encoded("cbr") + text + b"000040LYRICS200" + edit.id3v1(b"title")


def junk_in_front() -> bytes:
    """What a download that begins within a frame has before its first whole one."""
    return np.random.default_rng(3).integers(0, 128, 300, dtype=np.uint8).tobytes() + encoded(
        "vbr-bare"
    )


def zeros_in_front() -> bytes:
    return bytes(2000) + encoded("vbr-bare")


def zeros_behind() -> bytes:
    return encoded("cbr") + bytes(3000)


def from_a_stream() -> bytes:
    """Recorded from web radio: it begins and ends within a frame."""
    return encoded("cbr-bare", 6.0)[100:-100]


def cut_between_frames() -> bytes:
    """Half of a file that tells by nothing that it was longer: here, 3.0 of 6 s."""
    return b"".join(edit.mp3_frames(encoded("vbr-bare", 6.0))[:115])


def joined(kind: str) -> bytes:
    """Two files, one after the other: 4 s and 2 s of one chirp."""
    samples = chirp(6, RATE)
    cut = 4 * RATE
    return _encode(kind, samples[:, :cut], RATE) + _encode(kind, samples[:, cut:], RATE)


def joined_tagged() -> bytes:
    """Two files with all that taggers add: pictures in front, ID3v1 behind."""
    samples = chirp(6, RATE)
    cut = 4 * RATE
    picture = edit.id3([(b"APIC", b"\0image/png\0\3\0" + np.random.default_rng(2).bytes(1 << 14))])
    parts = [_encode("vbr", samples[:, :cut], RATE), _encode("vbr", samples[:, cut:], RATE)]
    return b"".join(picture + part[edit.id3_size(part) :] + edit.id3v1(b"title") for part in parts)


def joined_channels() -> bytes:
    """Mono, then stereo."""
    return _joined_bare(chirp(6, RATE), chirp(6, RATE, 2))


def joined_to_mono() -> bytes:
    """Stereo, then mono."""
    return _joined_bare(chirp(6, RATE, 2), chirp(6, RATE))


def _joined_bare(first: FloatArray, second: FloatArray) -> bytes:
    cut = 3 * RATE
    return _encode("cbr-bare", first[:, :cut], RATE) + _encode("cbr-bare", second[:, cut:], RATE)


def joined_rates() -> bytes:
    """44.1 kHz, then 32 kHz."""
    return _encode("cbr-bare", chirp(6, RATE)[:, : 3 * RATE], RATE) + _encode(
        "cbr-bare", chirp(6, 32000)[:, 3 * 32000 :], 32000
    )


def layer_two() -> bytes:
    # Not 3 s: then each share that is cut off would be whole frames.
    return ffmpeg(chirp(3.05, RATE), RATE, "mp2", "mp2")


def in_wav() -> bytes:
    return ffmpeg(chirp(3, RATE), RATE, "wav", "libmp3lame", options={"b": "128k"})
