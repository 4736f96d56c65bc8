"""Ogg files: Vorbis, Opus and FLAC, chained, with pages lost or in disorder; and plain FLAC."""

from __future__ import annotations

from functools import cache

import numpy as np

from tests.audio.table import edit
from tests.audio.table.chirp import FloatArray, chirp
from tests.audio.table.encode import ffmpeg, sndfile

RATE = {"vorbis": 44100, "opus": 48000, "flac": 44100}
_EOS = 4


@cache
def encoded(codec: str, seconds: float = 3.0, channels: int = 1) -> bytes:
    """An Ogg file of the chirp."""
    return _encode(codec, chirp(seconds, RATE[codec], channels))


def _encode(codec: str, samples: FloatArray) -> bytes:
    if codec == "flac":
        return ffmpeg(samples, RATE[codec], "ogg", "flac", muxer={"page_duration": "200000"})
    return sndfile(samples, RATE[codec], "OGG", codec.upper())


def by_ffmpeg() -> bytes:
    return ffmpeg(chirp(3, 48000), 48000, "ogg", "libopus", muxer={"page_duration": "200000"})


def chained(codec: str) -> bytes:
    """Two links: 4 s and 2 s of one chirp."""
    samples = chirp(6, RATE[codec])
    cut = 4 * RATE[codec]
    second = [_renumbered(page) for page in edit.ogg_pages(_encode(codec, samples[:, cut:]))]
    return _encode(codec, samples[:, :cut]) + b"".join(second)


def chained_rates() -> bytes:
    """4 s at 44.1 kHz, then 2 s at 48 kHz."""
    first = _encode("vorbis", chirp(6, 44100)[:, : 4 * 44100])
    second = sndfile(chirp(6, 48000)[:, 4 * 48000 :], 48000, "OGG", "VORBIS")
    return first + b"".join(_renumbered(page) for page in edit.ogg_pages(second))


def chained_channels() -> bytes:
    """4 s of stereo, then 2 s of mono."""
    first = _encode("vorbis", chirp(6, 44100, 2)[:, : 4 * 44100])
    second = edit.ogg_pages(_encode("vorbis", chirp(6, 44100)[:, 4 * 44100 :]))
    return first + b"".join(_renumbered(page) for page in second)


def _renumbered(page: bytes) -> bytes:
    """A page of another logical stream."""
    return edit.ogg_page(page[:14] + b"link" + page[18:])


def lost_pages(codec: str) -> bytes:
    """Without some pages in the middle."""
    pages = edit.ogg_pages(long(codec))
    middle = len(pages) // 2
    return b"".join(pages[:middle] + pages[middle + 2 :])


def reversed_pages(codec: str) -> bytes:
    """Headers, then the pages of audio in reverse order."""
    pages = edit.ogg_pages(long(codec))
    headers = 1 + max(i for i, page in enumerate(pages) if page[6:14] == bytes(8))
    return b"".join(pages[:headers] + pages[: headers - 1 : -1])


def without_end(codec: str) -> bytes:
    """Recorded from web radio: its last page is not marked as the last."""
    pages = edit.ogg_pages(encoded(codec, 6.0))
    return b"".join([*pages[:-1], edit.ogg_page(pages[-1], flags=0)])


def late_start(codec: str) -> bytes:
    """Cut out of a stream: positions begin at 10 minutes."""
    pages = edit.ogg_pages(encoded(codec, 6.0))
    return b"".join(
        page if page[6:14] == bytes(8) else edit.ogg_page(page, later=600 * RATE[codec])
        for page in pages
    )


@cache
def long(codec: str) -> bytes:
    """9 s, for several pages of audio."""
    return encoded(codec, 9.0)


@cache
def flac(bits: int = 16, channels: int = 1) -> bytes:
    """A FLAC file of the chirp."""
    return sndfile(chirp(3, 44100, channels), 44100, "FLAC", f"PCM_{bits}")


def flac_by_ffmpeg() -> bytes:
    return ffmpeg(chirp(3, 44100), 44100, "flac", "flac")


def flac_unknown_total() -> bytes:
    return edit.flac_streaminfo(flac(), total=0)


def flac_wrong_md5() -> bytes:
    return edit.flac_streaminfo(flac(), md5=12345)


def flac_without_md5() -> bytes:
    return edit.flac_streaminfo(flac(), md5=0)


def flac_id3_in_front() -> bytes:
    return edit.id3([(b"TIT2", b"\0title")]) + flac()


def flac_id3v1_behind() -> bytes:
    return flac() + edit.id3v1(b"title")


def flac_with_picture() -> bytes:
    picture = edit.flac_block(6, bytes(32) + np.random.default_rng(2).bytes(1 << 19))
    return flac()[:42] + picture + flac()[42:]
