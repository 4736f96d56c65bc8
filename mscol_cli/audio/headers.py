"""Lengths and formats declared in the headers of audio files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from mscol_cli.audio.source import SourceFile

# Sizes that ffmpeg, SoX, arecord and others write for "unknown", just below 2 and 4 GiB.
_STREAMED = (range(0x7FFFF000, 0x80001000), range(0xFFFFF000, 0x100000000))
_CHUNK_HEAD, _SILENCE = 8, 4096  # bytes
_MAX_STRAY = 0.1  # of the size of the samples; bytes of no chunk that may follow them
_BEHIND = (b"LIST", b"id3 ", b"bext", b"iXML", b"cue ", b"smpl", b"JUNK", b"PAD ")
# Starts of files, by their first bytes, long enough to be found nowhere else. Of Wave64 and WMA it
# is an identifier.
_HEADS = {
    b"fLaC": re.compile(rb"fLaC[\x00\x80]\x00\x00\x22"),
    b"RF64": re.compile(rb"RF64.{4}WAVEds64", re.DOTALL),
    b"BW64": re.compile(rb"BW64.{4}WAVEds64", re.DOTALL),
    b"riff": re.compile(rb"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"),
    b"caff": re.compile(rb"caff\x00\x01\x00\x00desc"),
    # A block of WavPack that is the first of its file and the first of its moment.
    b"wvpk": re.compile(
        rb"wvpk.{4}[\x02-\x20]\x04\x00.{5}\x00{4}.{5}[%b]"
        % re.escape(bytes(n for n in range(256) if n & 8)),
        re.DOTALL,
    ),
    b"TTA1": re.compile(rb"TTA1[\x01-\x03]\x00[\x00-\x10]\x00"),
    b"0&\xb2u": re.compile(rb"0&\xb2u\x8ef\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c"),
}
_VOC_TYPES, _VOC_PADDING = range(1, 10), 4096  # bytes
_W64_DATA = b"data\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"


@dataclass(frozen=True)
class DataBytes:
    """The chunk that holds the samples.

    Attributes:
        start: Offset in the file, in bytes.
        declared: Size in bytes by the header; None if its writer never filled it in.
        present: Bytes in the file, at most those declared.
    """

    start: int
    declared: int | None
    present: int

    @property
    def missing(self) -> int:
        """Bytes that are declared but not in the file."""
        return 0 if self.declared is None else self.declared - self.present


def data_bytes(source: SourceFile) -> DataBytes | None:
    """Locate the audio of a WAV, RF64, W64, AIFF, CAF, AU, MP4, DSF or VOC file; None for other
    files, or if the file has no audio chunk."""
    head = source.at(0, 16)
    kind = head[:4]
    if kind in (b"RIFF", b"RF64", b"BW64"):
        return _wave(source)
    if kind == b"RIFX":
        return _first(source, _chunks(source, "big"), b"data")
    if kind == b"FORM":
        return _first(source, _chunks(source, "big"), b"SSND")
    if kind == b"riff":
        return _first(source, _w64_chunks(source), _W64_DATA)
    if kind == b"caff":
        return _first(source, _caf_chunks(source), b"data")
    if kind in (b".snd", b"dns."):
        order = "big" if kind == b".snd" else "little"
        start, size = _number(head[4:8], order), _number(head[8:12], order)
        return _data_bytes(source, start, size)
    if head[4:8] == b"ftyp":
        return _first(source, _mp4_boxes(source), b"mdat")
    if kind == b"DSD ":
        return _first(source, _dsf_chunks(source), b"data")
    return _voc(source) if head == b"Creative Voice F" else None


def wave_format(source: SourceFile) -> tuple[int, int] | None:
    """Sample rate in Hz and number of channels of a WAV or RF64 file; None for other files."""
    order = {b"RIFF": "little", b"RIFX": "big", b"RF64": "little", b"BW64": "little"}
    kind = source.at(0, 4)
    for name, start, _ in _chunks(source, order[kind]) if kind in order else ():
        if name == b"fmt ":
            head = source.at(start, 8)
            return _number(head[4:8], order[kind]), _number(head[2:4], order[kind])
    return None


def flac_samples(source: SourceFile) -> int | None:
    """Samples per channel by the header of a FLAC file; None if unknown, or for other files."""
    head = source.at(0, 26)
    if head[:4] != b"fLaC" or head[4] & 0x7F or len(head) < 26:
        return None
    return int.from_bytes(head[21:], "big") & (1 << 36) - 1 or None


def caf_samples(source: SourceFile) -> int | None:
    """Samples per channel by the packet table of a CAF file; None without a table."""
    for name, start, _ in _caf_chunks(source):
        if name == b"pakt":
            return int.from_bytes(source.at(start + 8, 8), "big") or None
    return None


def mp4_problem(source: SourceFile) -> str | None:
    """Describe why an MP4 file cannot be opened; None for a complete file or another format."""
    if source.at(4, 4) != b"ftyp":
        return None
    boxes = list(_mp4_boxes(source))
    if sum(boxes[-1][1:]) > source.size:
        return "truncated inside its header"
    complete = any(name == b"moov" for name, _, _ in boxes)
    return None if complete else "its index (moov) is missing, as it was never finished"


def is_fragmented(source: SourceFile) -> bool:
    """Whether an MP4 file is fragmented, so that its header has no total duration."""
    return source.at(4, 4) == b"ftyp" and any(name == b"moof" for name, _, _ in _mp4_boxes(source))


def joined_at(source: SourceFile) -> int | None:
    """Offset of a second file that was appended to a file; None without one, or for formats whose
    decoders read both.

    Decoders stop at the length that the first header declares.
    """
    kind = source.at(0, 4)
    if kind in _HEADS:
        return source.find(_HEADS[kind], 4)
    if kind in (b"RIFF", b"RIFX", b"FORM"):
        end = 8 + _number(source.at(4, 4), "little" if kind == b"RIFF" else "big")
        return next((offset for offset in (end, end + 1) if source.at(offset, 4) == kind), None)
    if kind in (b".snd", b"dns."):
        data = data_bytes(source)
        end = source.size if data is None else data.start + data.present
        return end if source.at(end, 4) == kind else None
    if source.at(4, 4) == b"ftyp":
        starts = [start for name, start, _ in _mp4_boxes(source) if name == b"ftyp"]
        # Fragments may each begin with it, and all of them are read.
        single = len(starts) == 1 or is_fragmented(source)
        return None if single else starts[1] - _CHUNK_HEAD
    return None


def chunk_damage(source: SourceFile) -> str | None:
    """Describe what is wrong with the bytes behind the samples of a WAV, RF64, AIFF, CAF or AU
    file; None without damage, or for other files."""
    data = data_bytes(source)
    if data is None or not data.declared or data.missing:
        return None
    stray = _stray_bytes(source, data)
    if stray > max(_SILENCE, _MAX_STRAY * data.declared):
        share = data.declared / (data.declared + stray)
        return f"damaged: its header counts {share:.0%} of what may be its samples"
    order = {b"RIFF": "little", b"RIFX": "big", b"FORM": "big"}.get(source.at(0, 4))
    if order is None:
        return None
    behind = data.start + data.declared
    others = [name for name, start, _ in _chunks(source, order) if start != data.start]
    if b"data" in others or b"SSND" in others:
        return "damaged: its samples are in two chunks, of which decoders read one"
    declared_end = 8 + _number(source.at(4, 4), order)
    # Chunks that are zeros, as are the samples before them: a download that never finished.
    has_chunks = declared_end - behind >= _CHUNK_HEAD and source.size >= declared_end
    if has_chunks and source.zeros_at_end() > source.size - behind + _SILENCE:
        return "damaged: its last samples and the chunks behind them are zeros"
    return None


def _stray_bytes(source: SourceFile, data: DataBytes) -> int:
    """Bytes behind the samples that belong to no chunk or tag, without zeros at the end.

    A header that counts too few leaves them: of a recorder that died, or beyond 4 GiB.
    """
    kind, behind = source.at(0, 4), data.start + data.present
    if kind in (b".snd", b"dns."):
        return source.size - behind - source.zeros_at_end()
    if kind == b"caff":
        chunks = _caf_chunks(source, behind)
    elif kind in (b"RIFF", b"RIFX", b"RF64", b"BW64", b"FORM"):
        order = "big" if kind in (b"RIFX", b"FORM") else "little"
        chunks = _chunks(source, order, behind + behind % 2)
    else:
        return 0
    for name, start, _ in chunks:
        if name[:3] == b"ID3":
            return 0
        if not (name.isascii() and name.decode().isprintable()):
            return source.size - start - source.zeros_at_end()
    return 0


_Chunk = tuple[bytes, int, int]  # name, offset of the content, size by the header


def _wave(source: SourceFile) -> DataBytes | None:
    large = 0
    for name, start, size in _chunks(source, "little"):
        if name == b"ds64":
            large = _number(source.at(start + 8, 8), "little")
        if name == b"data" and size == 0 and source.at(start, 4) in _BEHIND:
            return DataBytes(start, 0, 0)  # no samples, unlike a header that was never finished
        if name == b"data":
            return _data_bytes(source, start, large if size == 0xFFFFFFFF and large else size)
    return None


def _voc(source: SourceFile) -> DataBytes:
    """All blocks of a VOC file: a type, a size in 24 bits, content. The last one has type 0."""
    start = offset = _number(source.at(20, 2), "little")
    while (head := source.at(offset, 4)) and head[0] in _VOC_TYPES:
        offset += 4 + _number(head[1:], "little")
    # Decoders stop at another type: a hole in the audio if much follows. SoX writes a size that is
    # 8 bytes too small.
    end = source.size if source.size - offset > _VOC_PADDING else offset
    return DataBytes(start, end - start, min(offset, source.size) - start)


def _first(source: SourceFile, chunks: Iterator[_Chunk], wanted: bytes) -> DataBytes | None:
    chunk = next((chunk for chunk in chunks if chunk[0] == wanted), None)
    return None if chunk is None else _data_bytes(source, *chunk[1:])


def _data_bytes(source: SourceFile, start: int, size: int) -> DataBytes:
    present = max(0, source.size - start)
    # Recorders that lost power leave 0, programs that write to a pipe the largest possible size.
    streamed = size > present and any(size in sizes for sizes in _STREAMED)
    if size < 0 or streamed or (size == 0 and present > 0):
        return DataBytes(start, None, present)
    return DataBytes(start, size, min(size, present))


def _chunks(source: SourceFile, order: str, offset: int = 12) -> Iterator[_Chunk]:
    """Chunks of RIFF and AIFF: a name, a size in 32 bits, content padded to an even size."""
    while len(head := source.at(offset, 8)) == 8 and not _in_zeros(source, offset):
        size = _number(head[4:], order)
        yield head[:4], offset + 8, size
        offset += 8 + size + size % 2


def _w64_chunks(source: SourceFile) -> Iterator[_Chunk]:
    """Chunks of W64: sizes include their 24 bytes of header, content is padded to 8 bytes."""
    offset = 40
    while len(head := source.at(offset, 24)) == 24 and not _in_zeros(source, offset):
        size = max(24, _number(head[16:], "little"))
        yield head[:16], offset + 24, size - 24
        offset += size + -size % 8


def _dsf_chunks(source: SourceFile) -> Iterator[_Chunk]:
    """Chunks of DSF behind its first: a name, a size in 64 bits that includes both, content."""
    offset = 28
    while len(head := source.at(offset, 12)) == 12 and not _in_zeros(source, offset):
        size = max(12, _number(head[4:], "little"))
        yield head[:4], offset + 12, size - 12
        offset += size


def _caf_chunks(source: SourceFile, offset: int = 8) -> Iterator[_Chunk]:
    while len(head := source.at(offset, 12)) == 12 and not _in_zeros(source, offset):
        size = int.from_bytes(head[4:], "big", signed=True)
        yield head[:4], offset + 12, size
        if size < 0:
            return
        offset += 12 + size


def _mp4_boxes(source: SourceFile) -> Iterator[_Chunk]:
    offset = 0
    while len(head := source.at(offset, 16)) >= 8:
        size, header = int.from_bytes(head[:4], "big"), 8
        if size == 1:
            size, header = int.from_bytes(head[8:], "big"), 16
        size = size if size >= header else source.size - offset  # 0: to the end
        yield head[4:8], offset + header, size - header
        offset += size


def _in_zeros(source: SourceFile, offset: int) -> bool:
    """Whether long zeros begin here: no chunks, and as many as a walk over gigabytes would find."""
    return not any(source.at(offset, 8)) and not any(source.at(offset, _SILENCE))


def _number(content: bytes, order: str) -> int:
    return int.from_bytes(content, "big" if order == "big" else "little")
