"""Choice of the decoder by the content of a file."""

from __future__ import annotations

import re

import av
import soundfile

from mscol_cli.audio import matroska, mpeg
from mscol_cli.audio.headers import chunk_damage, data_bytes, joined_at, wave_format
from mscol_cli.audio.libav import LibavReader, NoAudioError
from mscol_cli.audio.limits import check_limits
from mscol_cli.audio.ogg import scan_pages
from mscol_cli.audio.sndfile import SndfileReader
from mscol_cli.audio.source import SourceFile
from mscol_cli.audio.suffixes import MPEG_SUFFIXES
from mscol_cli.errors import BadInputError

_SNDFILE = frozenset(
    {b"RIFF", b"RIFX", b"RF64", b"BW64", b"riff", b"FORM", b"caff", b".snd", b"dns.", b"fLaC"}
)
_ZEROS = re.compile(rb"\x00{8192}")
_OGG_HEAD = 64  # bytes in which a Vorbis stream names itself

Reader = SndfileReader | LibavReader


def open_reader(source: SourceFile, quick: bool = False) -> Reader:
    """Open a file with libsndfile for the formats it is the reference for, else with FFmpeg.

    Args:
        source: The file.
        quick: Read the header only; skip checks that read the entire file.

    Raises:
        BadInputError: The file is not audio, or is damaged at its start.
    """
    start = mpeg.id3_bytes(source)
    kind = source.at(start, 4)
    if kind in _SNDFILE:
        return _sndfile(source.part(start) if start else source, quick)
    is_matroska = kind == b"\x1a\x45\xdf\xa3"
    if is_matroska:
        for declared in matroska.declared_formats(source):
            check_limits(source.path, *declared)
    if quick:
        return _quickly(source)
    _check_single(source)
    if is_matroska:
        cut = "cut off: its last block is incomplete" if matroska.is_cut(source) else None
        return LibavReader([source], damage=cut)
    return _ogg(source) if kind == b"OggS" else _libav(source)


def _check_single(source: SourceFile) -> None:
    if (second := joined_at(source)) is not None:
        raise BadInputError(
            f"{source.path}: a second file is joined to it at byte {second:,}; split them"
        )


def _check_zeros(source: SourceFile) -> None:
    if (start := source.find(_ZEROS, 0)) is not None:
        raise BadInputError(
            f"{source.path}: damaged: zeros from byte {start:,}, which are not silence in its"
            " codec; copy or download it again"
        )


def _quickly(source: SourceFile) -> Reader:
    try:
        return _libav(source)
    except (av.FFmpegError, NoAudioError):
        if not _is_vorbis(source):
            raise
        return SndfileReader(source)


def _sndfile(source: SourceFile, quick: bool) -> Reader:
    """Open with libsndfile, or with FFmpeg for codecs that libsndfile lacks."""
    if (claimed := wave_format(source)) is not None:
        check_limits(source.path, *claimed)  # libsndfile reports 0 or 4 GHz as an internal error
    if not quick:
        _check_single(source)
        if (damage := chunk_damage(source)) is not None:
            raise BadInputError(f"{source.path}: {damage}; export it again")
    data = data_bytes(source) if source.at(0, 4) == b"riff" else None
    if data is not None and data.declared and not data.missing:
        # libsndfile takes chunks behind the samples of Wave64 for samples.
        source = source.part(0, data.start + data.present)
    refusal: soundfile.LibsndfileError | None = None
    try:
        reader = SndfileReader(source)
        if not quick and reader.zeros_are_loud:
            _check_zeros(source)
        if not reader.better_by_ffmpeg:
            return reader
    except soundfile.LibsndfileError as error:
        refusal = error
    try:
        return _libav(source)
    except av.FFmpegError:
        if refusal is None or source.at(0, 4) == b"caff":
            raise
    raise refusal


def _ogg(source: SourceFile) -> Reader:
    pages = scan_pages(source)
    if pages.trimmed and len(pages.links) == 1 and _is_vorbis(source):
        # FFmpeg refuses such files, or takes their first packet for damaged.
        return SndfileReader(source, pages.damage)
    parts = [source.part(*link) for link in pages.links] if len(pages.links) > 1 else [source]
    try:
        return LibavReader(parts, damage=pages.damage, lengths=pages.lengths)
    except (av.FFmpegError, NoAudioError):
        if pages.damage is None:
            raise
        raise BadInputError(f"{source.path}: {pages.damage}; copy or download it again") from None


def _is_vorbis(source: SourceFile) -> bool:
    return b"\x01vorbis" in source.at(0, _OGG_HEAD)


def _libav(source: SourceFile) -> LibavReader:
    try:
        return LibavReader([source])
    except av.FFmpegError:
        source.check()
        if source.path.suffix.lower() in MPEG_SUFFIXES:
            return LibavReader([source], "mp3")
        raise
