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


def _mp3(
    name: str,
    build: Builder,
    cells: str,
    seconds: float = 3.0,
    header: int = 300,
    slack: float = LOSSY,
) -> Row:
    return Row(f"MP3, {name}", ".mp3", build, cells, header, seconds, slack)


def _ogg(name: str, build: Builder, cells: str, seconds: float = 3.0) -> Row:
    suffix = {"Vorb": ".ogg", "Opus": ".opus", "FLAC": ".oga"}[name[:4]]
    return Row(f"Ogg {name}", suffix, build, cells, 40, seconds, LOSSY)


def _av(
    name: str, suffix: str, build: Builder, cells: str, header: int = 30, slack: float = LOSSY
) -> Row:
    return Row(name, suffix, build, cells, header, 3.0, slack)


ROWS = (
    _mp3("constant bit rate, Info header", partial(mp3.encoded, "cbr"), "WSNSSS"),
    _mp3("average bit rate, Xing header", partial(mp3.encoded, "abr"), "WSNSSS"),
    _mp3("variable bit rate, Xing header", partial(mp3.encoded, "vbr"), "WSNSSS"),
    _mp3("variable bit rate, by libsndfile", mp3.by_libsndfile, "WSNSSS"),
    _mp3("variable bit rate, VBRI header", mp3.with_vbri, "WSNSSS"),
    _mp3("Xing header with the count alone", mp3.xing_count_only, "WSNSSS"),
    _mp3("Xing header without its count", mp3.xing_without_count, "WLNLLL"),
    _mp3("constant bit rate, no header", partial(mp3.encoded, "cbr-bare"), "WLNLLL"),
    _mp3("variable bit rate, no header", partial(mp3.encoded, "vbr-bare"), "WLNLLL"),
    _mp3("8 kHz mono", partial(mp3.encoded, "cbr", 3.0, 8000), "WSNSSS", header=150),
    _mp3("22.05 kHz mono", partial(mp3.encoded, "vbr", 3.0, 22050), "WSNSSS", header=150),
    _mp3("48 kHz stereo", partial(mp3.encoded, "vbr", 3.0, 48000, 2), "WSNSSS"),
    _mp3("longer than 2^20 samples", partial(mp3.encoded, "cbr", 26.0), "WSNSSS", 26.0),
    _mp3("the same, no header", partial(mp3.encoded, "cbr-bare", 26.0), "WLNLLL", 26.0),
    _mp3("ID3v2 tag of 1 MB", mp3.big_id3, "WNNNWW"),
    _mp3("two ID3v2 tags", mp3.two_id3, "WLNLLL"),
    _mp3("ID3v2 text that says Info and Xing", mp3.id3_saying_info, "WLNLLL", header=20),
    _mp3("ID3v2 tag with a length (TLEN)", mp3.id3_with_length, "WSNSSS", header=20),
    _mp3("ID3v1 tag", mp3.with_id3v1, "WLNLLL"),
    _mp3("APEv2 tag in front", mp3.ape_in_front, "WLNLLL", header=60),
    _mp3("APEv2 and ID3v1 tags behind", mp3.ape_behind, "WSNSSS"),
    _mp3("Lyrics3 tag behind", mp3.lyrics_behind, "WSNSSS"),
    _mp3("junk before the first frame", mp3.junk_in_front, "WLNLLL", header=320),
    _mp3("zeros before the first frame", mp3.zeros_in_front, "WLNLLL", header=2020),
    _mp3("zeros behind the last frame", mp3.zeros_behind, "WSNSSS"),
    _mp3("recorded from a stream", mp3.from_a_stream, "LLNLLL", 6.0),
    _mp3("two files joined", partial(mp3.joined, "vbr"), "WLNSSS", 6.0, slack=2 * LOSSY),
    _mp3("two files joined, no headers", partial(mp3.joined, "vbr-bare"), "WLNLLL", 6.0, slack=2 * LOSSY),
    _mp3("mono, then stereo", mp3.joined_channels, "WLNLLL", 6.0, slack=2 * LOSSY),
    _mp3("44.1 kHz, then 32 kHz", mp3.joined_rates, "WLNLLL", 6.0, slack=2 * LOSSY),
    _mp3("no header, cut between two frames", mp3.cut_between_frames, "ULNLLL"),
    Row("MPEG layer II", ".mp2", mp3.layer_two, "WLNLLL", 300, 3.0, LOSSY),
    Row("MP3 in WAV", ".wav", mp3.in_wav, "WSTSSS", 30, 3.0, LOSSY),
    _ogg("Vorbis", partial(ogg.encoded, "vorbis"), "WLNSSS"),
    _ogg("Vorbis, stereo, several pages", partial(ogg.encoded, "vorbis", 9.0, 2), "WLNSSS", 9.0),
    _ogg("Opus", partial(ogg.encoded, "opus"), "WLNSSS"),
    _ogg("Opus, by FFmpeg", ogg.by_ffmpeg, "WLNSSS"),
    _ogg("FLAC", partial(ogg.encoded, "flac"), "WTTDDD"),
    _ogg("Vorbis, chained", partial(ogg.chained, "vorbis"), "WLNDDD", 6.0),
    _ogg("Opus, chained", partial(ogg.chained, "opus"), "WLNDLL", 6.0),
    _ogg("FLAC, chained", partial(ogg.chained, "flac"), "WTTDDD", 6.0),
    _ogg("Vorbis, recorded from a stream", partial(ogg.without_end, "vorbis"), "LLNSSS"),
    _ogg("Opus, recorded from a stream", partial(ogg.without_end, "opus"), "LLNSSS"),
    _ogg("Vorbis, positions from 10 min", partial(ogg.late_start, "vorbis"), "WLNSSS"),
    _ogg("Opus, positions from 10 min", partial(ogg.late_start, "opus"), "WLNSSS"),
    _ogg("Vorbis, pages lost", partial(ogg.lost_pages, "vorbis"), "SLNSSS", 9.0),
    _ogg("Opus, pages lost", partial(ogg.lost_pages, "opus"), "SLNSSS", 9.0),
    _ogg("FLAC, pages lost", partial(ogg.lost_pages, "flac"), "DTTDDD", 9.0),
    _ogg("Vorbis, pages in reverse", partial(ogg.reversed_pages, "vorbis"), "DDNDDD", 9.0),
    _ogg("Opus, pages in reverse", partial(ogg.reversed_pages, "opus"), "DDNDDD", 9.0),
    Row("FLAC, 16 bits", ".flac", ogg.flac, "WTTDDD"),
    Row("FLAC, 24 bits, stereo", ".flac", partial(ogg.flac, 24, 2), "WTTDDD"),
    Row("FLAC, by FFmpeg", ".flac", ogg.flac_by_ffmpeg, "WTTDDD"),
    Row("FLAC, unknown total", ".flac", ogg.flac_unknown_total, "WTTDDD"),
    Row("FLAC, wrong MD5", ".flac", ogg.flac_wrong_md5, "WTTDDD"),
    Row("FLAC, no MD5", ".flac", ogg.flac_without_md5, "WTTDDD"),
    Row("FLAC, ID3v2 in front", ".flac", ogg.flac_id3_in_front, "WTTDDD", 45),
    Row("FLAC, ID3v1 behind", ".flac", ogg.flac_id3v1_behind, "WTTDDD"),
    Row("FLAC, picture of 512 KB", ".flac", ogg.flac_with_picture, "WDDDWW", 200),
    Row("WAV, 16 bits", ".wav", pcm.wav, "WTTTUU"),
    Row("WAV, 24 bits, stereo, extensible", ".wav", partial(pcm.written, "WAVEX", "PCM_24", 2), "WTTTUU"),
    Row("WAV, float", ".wav", partial(pcm.written, "WAV", "FLOAT"), "WTTTUX"),
    Row("WAV, double", ".wav", partial(pcm.written, "WAV", "DOUBLE"), "WTNTUX"),
    Row("WAV, 8 bits", ".wav", partial(pcm.written, "WAV", "PCM_U8"), "WTTTUU"),
    Row("WAV, u-law", ".wav", partial(pcm.written, "WAV", "ULAW"), "WTTTUU"),
    Row("WAV, IMA ADPCM", ".wav", pcm.adpcm, "WTTTUU", 30, 3.0, LOSSY),
    Row("WAV, size 0xFFFFFFFF (streamed)", ".wav", pcm.streamed, "WUTUUU"),
    Row("WAV, size 0 (recorder died)", ".wav", pcm.never_finished, "WUTUUU"),
    Row("WAV, 24 bits, size 0", ".wav", pcm.never_finished_24, "WUTUUU"),
    Row("WAV, LIST before fmt", ".wav", pcm.list_first, "WTTTUU"),
    Row("WAV, LIST and id3 behind", ".wav", pcm.list_behind, "WTTTUU"),
    Row("WAV, odd chunks", ".wav", pcm.odd_chunks, "WTTTUU"),
    Row("WAV, odd chunks without padding", ".wav", pcm.odd_chunks_unpadded, "DDTDDD"),
    Row("WAV, zeros behind", ".wav", pcm.trailing_zeros, "WTTTUU"),
    Row("WAV, wrong RIFF size", ".wav", pcm.imperfect_riff_size, "WTTTUU"),
    Row("RF64", ".rf64", pcm.rf64, "WTTTUU"),
    Row("RF64 named .wav", ".wav", pcm.rf64, "WTTTUU"),
    Row("Wave64", ".w64", partial(pcm.written, "W64", "PCM_16"), "WTTTUU"),
    Row("AIFF", ".aiff", partial(pcm.written, "AIFF", "PCM_16"), "WTTTUU"),
    Row("AIFF, 24 bits, stereo", ".aif", partial(pcm.written, "AIFF", "PCM_24", 2), "WTTTUU"),
    Row("AIFF-C, float", ".aifc", partial(pcm.written, "AIFF", "FLOAT"), "WTTXUX"),
    Row("AU", ".au", partial(pcm.written, "AU", "PCM_16"), "WTTTUU", 20),
    Row("AU, u-law", ".snd", partial(pcm.written, "AU", "ULAW"), "WTTTUU", 20),
    Row("AU, unknown size", ".au", pcm.au_unknown_size, "WUTUUU", 20),
    Row("AU, long note", ".au", pcm.au_with_note, "WTTTUU", 20),
    Row("CAF", ".caf", partial(pcm.written, "CAF", "PCM_16"), "WTNTUU"),
    Row("CAF, unknown size", ".caf", pcm.caf_unknown_size, "WUNUUU"),
    Row("CAF, ALAC", ".caf", partial(pcm.written, "CAF", "ALAC_16"), "WTNTDD"),
    _av("M4A, AAC", ".m4a", partial(av.encoded, "ipod", "aac"), "WTTTSS"),
    _av("M4A, AAC, fast start", ".m4a", av.fast_start, "WSTSSS", 300),
    _av("M4A, ALAC", ".m4a", partial(av.encoded, "ipod", "alac"), "WTTTDD", slack=0.0),
    _av("M4A, fragmented", ".m4a", av.fragmented, "WLTLLL", 300),
    _av("M4A, cover picture", ".m4a", partial(av.encoded, "mp4", "aac", cover=True), "WTTTSS"),
    _av("MP4, three audio streams", ".mp4", partial(av.encoded, "mp4", "aac", streams=3), "WTTTSS"),
    _av("MP4, video", ".mp4", partial(av.encoded, "mp4", "aac", video=True), "WTTTSS"),
    _av("MP4, Opus", ".mp4", partial(av.encoded, "mp4", "libopus"), "WTTTSS"),
    _av("MP4, FLAC", ".mp4", partial(av.encoded, "mp4", "flac"), "WTTTDD", slack=0.0),
    _av("AAC (ADTS)", ".aac", partial(av.encoded, "adts", "aac"), "WLNLLL", 100),
    _av("AAC (ADTS), ID3v2 in front", ".aac", av.adts_id3, "WLNLLL", 30),
    _av("WMA", ".wma", partial(av.encoded, "asf", "wmav2"), "WSNSSS", 100),
    _av("WebM, Opus", ".webm", partial(av.encoded, "webm", "libopus"), "WSNSSS", 100),
    _av("WebM, Opus, recorded by a browser", ".webm", av.live_webm, "WLNSSS", 100),
    _av("Matroska, FLAC", ".mka", partial(av.encoded, "matroska", "flac"), "WTNTDT", 100, 0.0),
    _av("Matroska, MP3", ".mka", partial(av.encoded, "matroska", "libmp3lame"), "WSNSSS", 100),
    _av("Matroska, PCM", ".mka", partial(av.encoded, "matroska", "pcm_s16le"), "WTNTTT", 100, 0.0),
    _av("TTA", ".tta", partial(av.encoded, "tta", "tta"), "WTNDDD", 15, 0.0),
    _av("WavPack", ".wv", partial(av.encoded, "wv", "wavpack"), "WTNDDD", 20, 0.0),
    _av("AC-3", ".ac3", partial(av.encoded, "ac3", "ac3"), "WLNLLL", 20),
    _av("AMR", ".amr", partial(av.encoded, "amr", "libopencore_amrnb"), "WLNLLL", 10),
    _av("MP3 named .wav", ".wav", partial(mp3.encoded, "cbr"), "WSNSSS", 300),
    _av("M4A named .mp3", ".mp3", av.fast_start, "WSTSSS", 300),
    _av("FLAC named .mp3", ".mp3", ogg.flac, "WTTDDD", 30, 0.0),
    _av("WAV named .flac", ".flac", pcm.wav, "WTTTUU", 30, 0.0),
    _av("Vorbis named .mp3", ".mp3", partial(ogg.encoded, "vorbis"), "WLNSSS", 40),
)
