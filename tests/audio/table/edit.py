"""Editing encoded bytes: headers made by hand, and damage."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np

_KBPS = {
    1: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}


# --- damage


def keep(content: bytes, size: float) -> bytes:
    """The first bytes: a share of all below 1, a number of bytes from 1 on."""
    return content[: int(size * len(content) if size < 1 else size)]


def removed(content: bytes, start: float = 0.4, end: float = 0.6) -> bytes:
    """Without a stretch, given in shares of the whole."""
    first, last = int(start * len(content)), int(end * len(content))
    return content[:first] + content[last:]


def zeroed(content: bytes, start: float = 0.4, end: float = 0.6) -> bytes:
    """With zeros over a stretch, as a file system leaves them after a crash."""
    first, last = int(start * len(content)), int(end * len(content))
    return content[:first] + bytes(last - first) + content[last:]


def scrambled(content: bytes, start: float = 0.4, end: float = 0.6) -> bytes:
    """With noise over a stretch."""
    first, last = int(start * len(content)), int(end * len(content))
    return content[:first] + np.random.default_rng(1).bytes(last - first) + content[last:]


# --- MP3


def mp3_frames(content: bytes) -> list[bytes]:
    """The frames of a clean MP3, tags left out; the frame of a Xing header is the first."""
    frames, place = [], id3_size(content)
    while place + 4 <= len(content) and content[place] == 0xFF and content[place + 1] >= 0xE0:
        size = _frame_size(content[place : place + 4])
        frames.append(content[place : place + size])
        place += size
    return frames


def _frame_size(header: bytes) -> int:
    version = header[1] >> 3 & 3
    kbps = _KBPS[1 if version == 3 else 2][header[2] >> 4]
    rate = _RATES[version][header[2] >> 2 & 3]
    return (144 if version == 3 else 72) * 1000 * kbps // rate + (header[2] >> 1 & 1)


def id3_size(content: bytes) -> int:
    """Bytes of the ID3v2 tag at the head, 0 without one."""
    if content[:3] != b"ID3":
        return 0
    return 10 + sum(
        byte << shift for byte, shift in zip(content[6:10], (21, 14, 7, 0), strict=True)
    )


def id3(frames: Sequence[tuple[bytes, bytes]]) -> bytes:
    """An ID3v2.3 tag of frames: (name, content)."""
    body = b"".join(name + struct.pack(">IH", len(data), 0) + data for name, data in frames)
    size = bytes(len(body) >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\3\0\0" + size + body


def id3v1(title: bytes) -> bytes:
    """An ID3v1 tag."""
    return b"TAG" + title.ljust(30, b"\0") + bytes(94) + b"\x0c"


def ape(text: bytes, *, header: bool) -> bytes:
    """An APEv2 tag of one item, with a footer, and a header where it stands in front."""
    item = struct.pack("<II", len(text), 0) + b"Comment\0" + text
    fields = b"APETAGEX" + struct.pack("<III", 2000, len(item) + 32, 1)
    start = fields + struct.pack("<I", 0xA0000000) + bytes(8) if header else b""
    return start + item + fields + struct.pack("<I", 0x80000000) + bytes(8)


def vbri(frames: Sequence[bytes]) -> bytes:
    """Frames behind a VBRI header, as Fraunhofer's encoder writes it."""
    size = sum(map(len, frames))
    entries = 10
    per_entry = -(-len(frames) // entries)
    toc = b"".join(
        struct.pack(">H", sum(map(len, frames[i * per_entry : (i + 1) * per_entry])) & 0xFFFF)
        for i in range(entries)
    )
    fields = struct.pack(">HHHIIHHHH", 1, 0, 100, size, len(frames), entries, 1, 2, per_entry)
    header = b"\xff\xfb\xb0\xc4"  # mono, 192 kbit/s: room for the table
    frame = (header + bytes(32) + b"VBRI" + fields + toc).ljust(_frame_size(header), b"\0")
    return frame + b"".join(frames)


# --- Ogg


def ogg_pages(content: bytes) -> list[bytes]:
    """The pages of an Ogg file."""
    pages, place = [], 0
    while place < len(content):
        table = content[place + 27 : place + 27 + content[place + 26]]
        size = 27 + len(table) + sum(table)
        pages.append(content[place : place + size])
        place += size
    return pages


def ogg_position(page: bytes) -> int:
    """The position at the end of a page, in samples."""
    return int(struct.unpack("<q", page[6:14])[0])


def ogg_page(page: bytes, *, flags: int | None = None, later: int = 0) -> bytes:
    """A page with other flags, or a later position, and a checksum that is right again."""
    position = ogg_position(page)
    position += later if position >= 0 else 0
    kept = page[5] if flags is None else flags
    blank = page[:5] + bytes([kept]) + struct.pack("<q", position) + page[14:22] + bytes(4)
    blank += page[26:]
    return blank[:22] + struct.pack("<I", _ogg_crc(blank)) + blank[26:]


def _ogg_crc(page: bytes) -> int:
    crc = 0
    for byte in page:
        crc = (crc << 8 & 0xFFFFFFFF) ^ _CRC[crc >> 24 ^ byte]
    return crc


def _crc_entry(byte: int) -> int:
    value = byte << 24
    for _ in range(8):
        value = (value << 1 ^ (0x04C11DB7 if value >> 31 else 0)) & 0xFFFFFFFF
    return value


_CRC = [_crc_entry(byte) for byte in range(256)]


# --- RIFF


def riff(chunks: Sequence[tuple[bytes, bytes]], *, pad: bool = True) -> bytes:
    """A WAV of chunks: (name, content)."""
    body = b"".join(
        name + struct.pack("<I", len(data)) + data + (b"\0" if pad and len(data) % 2 else b"")
        for name, data in chunks
    )
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WAVE" + body


def riff_chunks(wav: bytes) -> dict[bytes, bytes]:
    """Chunks of a WAV, by name."""
    chunks, place = {}, 12
    while place + 8 <= len(wav):
        name, size = struct.unpack("<4sI", wav[place : place + 8])
        chunks[name] = wav[place + 8 : place + 8 + size]
        place += 8 + size + size % 2
    return chunks


def wav_with_sizes(wav: bytes, data: int, whole: int | None = None) -> bytes:
    """A WAV whose header has other sizes: of its samples, and of the whole file."""
    place = wav.index(b"data") + 4
    wav = wav[:place] + struct.pack("<I", data) + wav[place + 4 :]
    return wav if whole is None else wav[:4] + struct.pack("<I", whole) + wav[8:]


def pcm_header(rate: int, channels: int, bits: int = 16) -> bytes:
    """The `fmt ` chunk of PCM, whatever sense it makes."""
    block = channels * bits // 8
    return struct.pack(
        "<HHIIHH", 1, channels, rate, rate * block & 0xFFFFFFFF, block & 0xFFFF, bits
    )


# --- FLAC


def flac_streaminfo(flac: bytes, **fields: int) -> bytes:
    """A FLAC whose first block has other values: rate, channels, total, or md5."""
    place = flac.index(b"fLaC") + 8
    packed = int.from_bytes(flac[place + 10 : place + 18], "big")
    for name, (shift, bits) in {"rate": (44, 20), "channels": (41, 3), "total": (0, 36)}.items():
        if name in fields:
            mask = (1 << bits) - 1
            packed = packed & ~(mask << shift) | (fields[name] & mask) << shift
    md5 = fields["md5"].to_bytes(16, "big") if "md5" in fields else flac[place + 18 : place + 34]
    return flac[: place + 10] + packed.to_bytes(8, "big") + md5 + flac[place + 34 :]


def flac_block(kind: int, content: bytes) -> bytes:
    """A metadata block that is not the last."""
    return bytes([kind]) + len(content).to_bytes(3, "big") + content
