"""The table: one line for each kind of file, one letter for each thing that may happen to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from tests.audio_table import build_av as av
from tests.audio_table import build_mp3 as mp3
from tests.audio_table import build_ogg as ogg
from tests.audio_table import build_pcm as pcm

Builder = Callable[[], bytes]


@dataclass(frozen=True)
class Row:
    """One kind of file.

    Attributes:
        name: For people; unique.
        suffix: Of the file.
        build: Gives the content of a whole file.
        cells: One letter for each of `COLUMNS`.
        header: Where the cut in the header is: bytes.
        seconds: How long the chirp in it is.
        slack: Seconds by which a whole file may be longer or shorter; 0 is exact to the sample.
    """

    name: str
    suffix: str
    build: Builder
    cells: str
    header: int = 30
    seconds: float = 3.0
    slack: float = 0.0


LOSSY = 0.06
"""Seconds that an encoder may add or drop: MP3's delay and padding, WMA's last frame."""


def _mp3(name: str, build: Builder, cells: str, seconds: float = 3.0, header: int = 300) -> Row:
    return Row(f"MP3, {name}", ".mp3", build, cells, header, seconds, LOSSY)


def _ogg(name: str, build: Builder, cells: str, seconds: float = 3.0) -> Row:
    suffix = {"Vorb": ".ogg", "Opus": ".opus", "FLAC": ".oga"}[name[:4]]
    return Row(f"Ogg {name}", suffix, build, cells, 40, seconds, LOSSY)


def _av(
    name: str, suffix: str, build: Builder, cells: str, header: int = 30, slack: float = LOSSY
) -> Row:
    return Row(name, suffix, build, cells, header, 3.0, slack)


ROWS = (
    _mp3("constant bit rate, Info header", partial(mp3.encoded, "cbr"), "......"),
    _mp3("average bit rate, Xing header", partial(mp3.encoded, "abr"), "......"),
    _mp3("variable bit rate, Xing header", partial(mp3.encoded, "vbr"), "......"),
    _mp3("variable bit rate, by libsndfile", mp3.by_libsndfile, "......"),
    _mp3("variable bit rate, VBRI header", mp3.with_vbri, "......"),
    _mp3("Xing header with the count alone", mp3.xing_count_only, "......"),
    _mp3("Xing header without its count", mp3.xing_without_count, "......"),
    _mp3("constant bit rate, no header", partial(mp3.encoded, "cbr-bare"), "......"),
    _mp3("variable bit rate, no header", partial(mp3.encoded, "vbr-bare"), "......"),
    _mp3("8 kHz mono", partial(mp3.encoded, "cbr", 3.0, 8000), "......", header=150),
    _mp3("22.05 kHz mono", partial(mp3.encoded, "vbr", 3.0, 22050), "......", header=150),
    _mp3("48 kHz stereo", partial(mp3.encoded, "vbr", 3.0, 48000, 2), "......"),
    _mp3("longer than 2^20 samples", partial(mp3.encoded, "cbr", 26.0), "......", 26.0),
    _mp3("the same, no header", partial(mp3.encoded, "cbr-bare", 26.0), "......", 26.0),
    _mp3("ID3v2 tag of 1 MB", mp3.big_id3, "......"),
    _mp3("two ID3v2 tags", mp3.two_id3, "......"),
    _mp3("ID3v2 text that says Info and Xing", mp3.id3_saying_info, "......", header=20),
    _mp3("ID3v2 tag with a length (TLEN)", mp3.id3_with_length, "......", header=20),
    _mp3("ID3v1 tag", mp3.with_id3v1, "......"),
    _mp3("APEv2 tag in front", mp3.ape_in_front, "......", header=60),
    _mp3("APEv2 and ID3v1 tags behind", mp3.ape_behind, "......"),
    _mp3("Lyrics3 tag behind", mp3.lyrics_behind, "......"),
    _mp3("junk before the first frame", mp3.junk_in_front, "......", header=320),
    _mp3("zeros before the first frame", mp3.zeros_in_front, "......", header=2020),
    _mp3("zeros behind the last frame", mp3.zeros_behind, "......"),
    _mp3("recorded from a stream", mp3.from_a_stream, "......", 6.0),
    _mp3("two files joined", partial(mp3.joined, "vbr"), "......", 6.0),
    _mp3("two files joined, no headers", partial(mp3.joined, "vbr-bare"), "......", 6.0),
    _mp3("mono, then stereo", mp3.joined_channels, "......", 6.0),
    _mp3("44.1 kHz, then 32 kHz", mp3.joined_rates, "......", 6.0),
    Row("MPEG layer II", ".mp2", mp3.layer_two, "......", 300, 3.0, LOSSY),
    Row("MP3 in WAV", ".wav", mp3.in_wav, "......", 30, 3.0, LOSSY),
    _ogg("Vorbis", partial(ogg.encoded, "vorbis"), "......"),
    _ogg("Vorbis, stereo, several pages", partial(ogg.encoded, "vorbis", 9.0, 2), "......", 9.0),
    _ogg("Opus", partial(ogg.encoded, "opus"), "......"),
    _ogg("Opus, by FFmpeg", ogg.by_ffmpeg, "......"),
    _ogg("FLAC", partial(ogg.encoded, "flac"), "......"),
    _ogg("Vorbis, chained", partial(ogg.chained, "vorbis"), "......", 6.0),
    _ogg("Opus, chained", partial(ogg.chained, "opus"), "......", 6.0),
    _ogg("FLAC, chained", partial(ogg.chained, "flac"), "......", 6.0),
    _ogg("Vorbis, recorded from a stream", partial(ogg.without_end, "vorbis"), "......"),
    _ogg("Opus, recorded from a stream", partial(ogg.without_end, "opus"), "......"),
    _ogg("Vorbis, positions from 10 min", partial(ogg.late_start, "vorbis"), "......"),
    _ogg("Opus, positions from 10 min", partial(ogg.late_start, "opus"), "......"),
    _ogg("Vorbis, pages lost", partial(ogg.lost_pages, "vorbis"), "......", 9.0),
    _ogg("Opus, pages lost", partial(ogg.lost_pages, "opus"), "......", 9.0),
    _ogg("FLAC, pages lost", partial(ogg.lost_pages, "flac"), "......", 9.0),
    _ogg("Vorbis, pages in reverse", partial(ogg.reversed_pages, "vorbis"), "......", 9.0),
    _ogg("Opus, pages in reverse", partial(ogg.reversed_pages, "opus"), "......", 9.0),
    Row("FLAC, 16 bits", ".flac", ogg.flac, "......"),
    Row("FLAC, 24 bits, stereo", ".flac", partial(ogg.flac, 24, 2), "......"),
    Row("FLAC, by FFmpeg", ".flac", ogg.flac_by_ffmpeg, "......"),
    Row("FLAC, unknown total", ".flac", ogg.flac_unknown_total, "......"),
    Row("FLAC, wrong MD5", ".flac", ogg.flac_wrong_md5, "......"),
    Row("FLAC, no MD5", ".flac", ogg.flac_without_md5, "......"),
    Row("FLAC, ID3v2 in front", ".flac", ogg.flac_id3_in_front, "......", 45),
    Row("FLAC, ID3v1 behind", ".flac", ogg.flac_id3v1_behind, "......"),
    Row("FLAC, picture of 512 KB", ".flac", ogg.flac_with_picture, "......", 200),
    Row("WAV, 16 bits", ".wav", pcm.wav, "......"),
    Row("WAV, 24 bits, stereo, extensible", ".wav", partial(pcm.written, "WAVEX", "PCM_24", 2), "......"),
    Row("WAV, float", ".wav", partial(pcm.written, "WAV", "FLOAT"), "......"),
    Row("WAV, double", ".wav", partial(pcm.written, "WAV", "DOUBLE"), "......"),
    Row("WAV, 8 bits", ".wav", partial(pcm.written, "WAV", "PCM_U8"), "......"),
    Row("WAV, u-law", ".wav", partial(pcm.written, "WAV", "ULAW"), "......"),
    Row("WAV, IMA ADPCM", ".wav", pcm.adpcm, "......", 30, 3.0, LOSSY),
    Row("WAV, size 0xFFFFFFFF (streamed)", ".wav", pcm.streamed, "......"),
    Row("WAV, size 0 (recorder died)", ".wav", pcm.never_finished, "......"),
    Row("WAV, 24 bits, size 0", ".wav", pcm.never_finished_24, "......"),
    Row("WAV, LIST before fmt", ".wav", pcm.list_first, "......"),
    Row("WAV, LIST and id3 behind", ".wav", pcm.list_behind, "......"),
    Row("WAV, odd chunks", ".wav", pcm.odd_chunks, "......"),
    Row("WAV, odd chunks without padding", ".wav", pcm.odd_chunks_unpadded, "......"),
    Row("WAV, zeros behind", ".wav", pcm.trailing_zeros, "......"),
    Row("WAV, wrong RIFF size", ".wav", pcm.imperfect_riff_size, "......"),
    Row("RF64", ".rf64", pcm.rf64, "......"),
    Row("RF64 named .wav", ".wav", pcm.rf64, "......"),
    Row("Wave64", ".w64", partial(pcm.written, "W64", "PCM_16"), "......"),
    Row("AIFF", ".aiff", partial(pcm.written, "AIFF", "PCM_16"), "......"),
    Row("AIFF, 24 bits, stereo", ".aif", partial(pcm.written, "AIFF", "PCM_24", 2), "......"),
    Row("AIFF-C, float", ".aifc", partial(pcm.written, "AIFF", "FLOAT"), "......"),
    Row("AU", ".au", partial(pcm.written, "AU", "PCM_16"), "......", 20),
    Row("AU, u-law", ".snd", partial(pcm.written, "AU", "ULAW"), "......", 20),
    Row("AU, unknown size", ".au", pcm.au_unknown_size, "......", 20),
    Row("AU, long note", ".au", pcm.au_with_note, "......", 20),
    Row("CAF", ".caf", partial(pcm.written, "CAF", "PCM_16"), "......"),
    Row("CAF, unknown size", ".caf", pcm.caf_unknown_size, "......"),
    Row("CAF, ALAC", ".caf", partial(pcm.written, "CAF", "ALAC_16"), "......"),
    _av("M4A, AAC", ".m4a", partial(av.encoded, "ipod", "aac"), "......"),
    _av("M4A, AAC, fast start", ".m4a", av.fast_start, "......", 300),
    _av("M4A, ALAC", ".m4a", partial(av.encoded, "ipod", "alac"), "......", slack=0.0),
    _av("M4A, fragmented", ".m4a", av.fragmented, "......", 300),
    _av("M4A, cover picture", ".m4a", partial(av.encoded, "mp4", "aac", cover=True), "......"),
    _av("MP4, three audio streams", ".mp4", partial(av.encoded, "mp4", "aac", streams=3), "......"),
    _av("MP4, video", ".mp4", partial(av.encoded, "mp4", "aac", video=True), "......"),
    _av("MP4, Opus", ".mp4", partial(av.encoded, "mp4", "libopus"), "......"),
    _av("MP4, FLAC", ".mp4", partial(av.encoded, "mp4", "flac"), "......", slack=0.0),
    _av("AAC (ADTS)", ".aac", partial(av.encoded, "adts", "aac"), "......", 100),
    _av("AAC (ADTS), ID3v2 in front", ".aac", av.adts_id3, "......", 30),
    _av("WMA", ".wma", partial(av.encoded, "asf", "wmav2"), "......", 100),
    _av("WebM, Opus", ".webm", partial(av.encoded, "webm", "libopus"), "......", 100),
    _av("WebM, Opus, recorded by a browser", ".webm", av.live_webm, "......", 100),
    _av("Matroska, FLAC", ".mka", partial(av.encoded, "matroska", "flac"), "......", 100, 0.0),
    _av("Matroska, MP3", ".mka", partial(av.encoded, "matroska", "libmp3lame"), "......", 100),
    _av("Matroska, PCM", ".mka", partial(av.encoded, "matroska", "pcm_s16le"), "......", 100, 0.0),
    _av("TTA", ".tta", partial(av.encoded, "tta", "tta"), "......", 15, 0.0),
    _av("WavPack", ".wv", partial(av.encoded, "wv", "wavpack"), "......", 20, 0.0),
    _av("AC-3", ".ac3", partial(av.encoded, "ac3", "ac3"), "......", 20),
    _av("AMR", ".amr", partial(av.encoded, "amr", "libopencore_amrnb"), "......", 10),
    _av("MP3 named .wav", ".wav", partial(mp3.encoded, "cbr"), "......", 300),
    _av("M4A named .mp3", ".mp3", av.fast_start, "......", 300),
    _av("FLAC named .mp3", ".mp3", ogg.flac, "......", 30, 0.0),
    _av("WAV named .flac", ".flac", pcm.wav, "......", 30, 0.0),
    _av("Vorbis named .mp3", ".mp3", partial(ogg.encoded, "vorbis"), "......", 40),
)
