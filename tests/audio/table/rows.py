"""The table: one line for each kind of file, one letter for each thing that may happen to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from tests.audio.table import build_av as av
from tests.audio.table import build_mp3 as mp3
from tests.audio.table import build_ogg as ogg
from tests.audio.table import build_pcm as pcm

Builder = Callable[[], bytes]


@dataclass(frozen=True)
class Row:
    """One kind of file.

    Attributes:
        cells: One letter of `VERDICTS` for each of `COLUMNS`.
        name: For people; unique.
        suffix: Of the file.
        build: Gives the content of a whole file.
        header: Where the cut in the header is: bytes.
        seconds: How long the chirp in it is.
        slack: Seconds by which a whole file may be longer or shorter; 0 is exact to the sample.
    """

    cells: str
    name: str
    suffix: str
    build: Builder
    header: int = 30
    seconds: float = 3.0
    slack: float = 0.0


LOSSY = 0.06
"""Seconds that an encoder may add or drop: MP3's delay and padding, WMA's last frame."""
SIX: dict[str, Any] = {"seconds": 6.0, "slack": 2 * LOSSY}
"""Two files of one chirp, joined."""
LATE: dict[str, Any] = {"header": 100, "slack": LOSSY}


def _mp3(cells: str, name: str, build: Builder, **how: Any) -> Row:
    return Row(cells, f"MP3, {name}", ".mp3", build, **{"header": 300, "slack": LOSSY, **how})


def _ogg(cells: str, name: str, build: Builder, seconds: float = 3.0) -> Row:
    suffix = {"Vorb": ".ogg", "Opus": ".opus", "FLAC": ".oga"}[name[:4]]
    return Row(cells, f"Ogg {name}", suffix, build, 40, seconds, LOSSY)


def _flac(cells: str, name: str, build: Builder, header: int = 30) -> Row:
    return Row(cells, f"FLAC, {name}", ".flac", build, header)


def _wav(cells: str, name: str, build: Builder, slack: float = 0.0) -> Row:
    return Row(cells, f"WAV, {name}", ".wav", build, slack=slack)


def _sndfile(cells: str, name: str, suffix: str, *how: Any, header: int = 30) -> Row:
    return Row(cells, name, suffix, partial(pcm.written, *how), header)


def _av(cells: str, name: str, suffix: str, *how: Any, header: int = 30, **more: Any) -> Row:
    return Row(cells, name, suffix, partial(av.encoded, *how, **more), header, slack=LOSSY)


def _exact(cells: str, name: str, suffix: str, *how: Any, header: int = 30) -> Row:
    return Row(cells, name, suffix, partial(av.encoded, *how), header)


ROWS = (
    _mp3("WSNSSSS", "constant bit rate, Info header", partial(mp3.encoded, "cbr")),
    _mp3("WSNSSSS", "average bit rate, Xing header", partial(mp3.encoded, "abr")),
    _mp3("WSNSSSS", "variable bit rate, Xing header", partial(mp3.encoded, "vbr")),
    _mp3("WSNSSSS", "variable bit rate, by libsndfile", mp3.by_libsndfile),
    _mp3("WSNSSSS", "variable bit rate, VBRI header", mp3.with_vbri),
    _mp3("WSNSSSS", "Xing header with the count alone", mp3.xing_count_only),
    _mp3("WLNLLLL", "Xing header without its count", mp3.xing_without_count),
    _mp3("WLNLLLL", "constant bit rate, no header", partial(mp3.encoded, "cbr-bare")),
    _mp3("WLNLLLL", "variable bit rate, no header", partial(mp3.encoded, "vbr-bare")),
    _mp3("WSNSSSS", "8 kHz mono", partial(mp3.encoded, "cbr", 3.0, 8000), header=150),
    _mp3("WSNSSSS", "22.05 kHz mono", partial(mp3.encoded, "vbr", 3.0, 22050), header=150),
    _mp3("WSNSSSS", "48 kHz stereo", partial(mp3.encoded, "vbr", 3.0, 48000, 2)),
    _mp3("WSNSSSS", "longer than 2^20 samples", partial(mp3.encoded, "cbr", 26.0), seconds=26.0),
    _mp3("WLNLLLL", "the same, no header", partial(mp3.encoded, "cbr-bare", 26.0), seconds=26.0),
    _mp3("WNNNWWN", "ID3v2 tag of 1 MB", mp3.big_id3),
    _mp3("WLNLLLL", "two ID3v2 tags", mp3.two_id3),
    _mp3("WLNLLLL", "ID3v2 text that says Info and Xing", mp3.id3_saying_info, header=20),
    _mp3("WLNLLLL", "ID3v2 tag with a length (TLEN)", mp3.id3_with_length, header=20),
    _mp3("WLNLLLL", "ID3v1 tag", mp3.with_id3v1),
    _mp3("WLNLLLL", "APEv2 tag in front", mp3.ape_in_front, header=60),
    _mp3("WSNSSSS", "APEv2 and ID3v1 tags behind", mp3.ape_behind),
    _mp3("WSNSSSS", "Lyrics3 tag behind", mp3.lyrics_behind),
    _mp3("WLNLLLL", "junk before the first frame", mp3.junk_in_front, header=320),
    _mp3("WLNLLLL", "zeros before the first frame", mp3.zeros_in_front, header=2020),
    _mp3("WSNSSSS", "zeros behind the last frame", mp3.zeros_behind),
    _mp3("LLNLLLL", "recorded from a stream", mp3.from_a_stream, seconds=6.0),
    _mp3("WLNSSSL", "two files joined", partial(mp3.joined, "vbr"), **SIX),
    _mp3("WLNSSSL", "two files joined, Info headers", partial(mp3.joined, "cbr"), **SIX),
    _mp3("WLNSSSL", "two files joined, tags and pictures", mp3.joined_tagged, **SIX),
    _mp3("WLNLLLL", "two files joined, no headers", partial(mp3.joined, "vbr-bare"), **SIX),
    _mp3("WLNLLLL", "mono, then stereo", mp3.joined_channels, **SIX),
    _mp3("WLNLLLL", "stereo, then mono", mp3.joined_to_mono, **SIX),
    _mp3("WLNLLLL", "44.1 kHz, then 32 kHz", mp3.joined_rates, **SIX),
    _mp3("ULNLLLL", "no header, cut between two frames", mp3.cut_between_frames),
    Row("WLNLLLL", "MPEG layer II", ".mp2", mp3.layer_two, 300, 3.05, LOSSY),
    Row("WSTSSSS", "MP3 in WAV", ".wav", mp3.in_wav, 30, 3.0, LOSSY),
    _ogg("WLTSSSL", "Vorbis", partial(ogg.encoded, "vorbis")),
    _ogg("WLTSSSL", "Vorbis, stereo, several pages", partial(ogg.encoded, "vorbis", 9.0, 2), 9.0),
    _ogg("WLTSSSL", "Opus", partial(ogg.encoded, "opus", 6.0), 6.0),
    _ogg("WLTSSSL", "Opus, by FFmpeg", ogg.by_ffmpeg),
    _ogg("WTTDDDD", "FLAC", partial(ogg.encoded, "flac")),
    _ogg("WLTDDDL", "Vorbis, chained", partial(ogg.chained, "vorbis"), 6.0),
    _ogg("WLTDDDL", "Vorbis, chained, another rate", ogg.chained_rates, 6.0),
    _ogg("WLTLLLL", "Vorbis, chained, stereo, then mono", ogg.chained_channels, 6.0),
    _ogg("WLTLLLL", "Opus, chained", partial(ogg.chained, "opus"), 6.0),
    _ogg("WTTDDDD", "FLAC, chained", partial(ogg.chained, "flac"), 6.0),
    _ogg("LLTSSSL", "Vorbis, recorded from a stream", partial(ogg.without_end, "vorbis"), 6.0),
    _ogg("LLTSSSL", "Opus, recorded from a stream", partial(ogg.without_end, "opus"), 6.0),
    _ogg("WLTSSSL", "Vorbis, positions from 10 min", partial(ogg.late_start, "vorbis"), 6.0),
    _ogg("WLTSSSL", "Opus, positions from 10 min", partial(ogg.late_start, "opus"), 6.0),
    _ogg("SLTSSSL", "Vorbis, pages lost", partial(ogg.lost_pages, "vorbis"), 9.0),
    _ogg("SLTSSSL", "Opus, pages lost", partial(ogg.lost_pages, "opus"), 9.0),
    _ogg("DTTDDDD", "FLAC, pages lost", partial(ogg.lost_pages, "flac"), 9.0),
    _ogg("DDTDDDD", "Vorbis, pages in reverse", partial(ogg.reversed_pages, "vorbis"), 9.0),
    _ogg("DDTDDDD", "Opus, pages in reverse", partial(ogg.reversed_pages, "opus"), 9.0),
    _flac("WTTDDDD", "16 bits", ogg.flac),
    _flac("WTTDDDD", "24 bits, stereo", partial(ogg.flac, 24, 2)),
    _flac("WTTDDDD", "by FFmpeg", ogg.flac_by_ffmpeg),
    _flac("WTTDDDD", "unknown total", ogg.flac_unknown_total),
    _flac("WTTDDDD", "wrong MD5", ogg.flac_wrong_md5),
    _flac("WTTDDDD", "no MD5", ogg.flac_without_md5),
    _flac("WTTDDDD", "ID3v2 in front", ogg.flac_id3_in_front, 45),
    _flac("WTTDDDD", "ID3v1 behind", ogg.flac_id3v1_behind),
    _flac("WDDDWWD", "picture of 512 KB", ogg.flac_with_picture, 200),
    _wav("WTTTUUU", "16 bits", pcm.wav),
    _wav("WTTTUUU", "24 bits, stereo, extensible", partial(pcm.written, "WAVEX", "PCM_24", 2)),
    _wav("WTTTUXU", "float", partial(pcm.written, "WAV", "FLOAT")),
    _wav("WTTTUXU", "double", partial(pcm.written, "WAV", "DOUBLE")),
    _wav("WTTTDUD", "8 bits", partial(pcm.written, "WAV", "PCM_U8")),
    _wav("WTTTDUD", "u-law", partial(pcm.written, "WAV", "ULAW")),
    _wav("WTTTDUD", "A-law", partial(pcm.written, "WAV", "ALAW")),
    _wav("WSTSUUU", "GSM", pcm.gsm, LOSSY),
    _wav("WSTSUSU", "IMA ADPCM", partial(pcm.adpcm, "adpcm_ima_wav"), LOSSY),
    _wav("WSTSUSU", "Microsoft ADPCM", partial(pcm.adpcm, "adpcm_ms"), LOSSY),
    _wav("WUTUUUU", "size 0xFFFFFFFF (streamed)", pcm.streamed),
    _wav("WUTUUUU", "size 0 (recorder died)", pcm.never_finished),
    _wav("WUTUUUU", "24 bits, size 0", pcm.never_finished_24),
    _wav("WTTTUUU", "LIST before fmt", pcm.list_first),
    _wav("WTTTUUD", "LIST and id3 behind", pcm.list_behind),
    _wav("WTTTUUD", "samples before fmt", pcm.data_first),
    _wav("WTTTUUU", "odd chunks", pcm.odd_chunks),
    _wav("DDTDDDD", "odd chunks without padding", pcm.odd_chunks_unpadded),
    _wav("WTTTUUU", "zeros behind", pcm.trailing_zeros),
    _wav("WTTTUUU", "wrong RIFF size", pcm.imperfect_riff_size),
    _wav("WTTTUUU", "5.1 channels", partial(pcm.written, "WAVEX", "PCM_16", 6)),
    _wav("WTTTUUU", "big-endian (RIFX)", pcm.rifx),
    Row("WTTTUUU", "RF64", ".rf64", pcm.rf64),
    Row("WTTTUUU", "RF64 named .wav", ".wav", pcm.rf64),
    Row("WUTUUUU", "RF64, size 0 (recorder died)", ".wav", pcm.rf64_never_finished),
    _sndfile("WTTTUUU", "Wave64", ".w64", "W64", "PCM_16"),
    Row("WUTUUUU", "Wave64, size 0 (recorder died)", ".w64", pcm.w64_never_finished),
    _sndfile("WTTTUUU", "AIFF", ".aiff", "AIFF", "PCM_16"),
    _sndfile("WTTTUUU", "AIFF, 24 bits, stereo", ".aif", "AIFF", "PCM_24", 2),
    Row("WTTTUUD", "AIFF, samples before COMM", ".aiff", pcm.aiff_data_first),
    _sndfile("WTTXUXU", "AIFF-C, float", ".aifc", "AIFF", "FLOAT"),
    Row("WTTTUUU", "AIFF-C, little-endian", ".aif", pcm.aiff_little),
    Row("WUTUUUU", "AIFF, size 0 (recorder died)", ".aiff", pcm.aiff_never_finished),
    _sndfile("WTTTUUU", "AU", ".au", "AU", "PCM_16", header=20),
    _sndfile("WTTTDUD", "AU, u-law", ".snd", "AU", "ULAW", header=20),
    Row("WUTUUUU", "AU, unknown size", ".au", pcm.au_unknown_size, 20),
    Row("WTTTUUU", "AU, long note", ".au", pcm.au_with_note, 20),
    _sndfile("WTNTUUU", "CAF", ".caf", "CAF", "PCM_16"),
    Row("WUNUUUU", "CAF, unknown size", ".caf", pcm.caf_unknown_size),
    _sndfile("WTNTDDD", "CAF, ALAC", ".caf", "CAF", "ALAC_16"),
    _av("WTTTSST", "M4A, AAC", ".m4a", "ipod", "aac"),
    Row("WSTSSSS", "M4A, AAC, fast start", ".m4a", av.fast_start, **LATE),
    _exact("WTTTDDT", "M4A, ALAC", ".m4a", "ipod", "alac"),
    Row("WLTLLLL", "M4A, fragmented", ".m4a", av.fragmented, **LATE),
    Row("TTTTTTT", "M4A, never finished", ".m4a", av.without_index, slack=LOSSY),
    _av("WTTTSST", "M4A, cover picture", ".m4a", "mp4", "aac", cover=True),
    _av("WTTTSST", "MP4, three audio streams", ".mp4", "mp4", "aac", streams=3),
    _av("WTTTSST", "MP4, video", ".mp4", "mp4", "aac", video=True),
    _av("WTTTSST", "MP4, Opus", ".mp4", "mp4", "libopus"),
    _exact("WTTTDDT", "MP4, FLAC", ".mp4", "mp4", "flac"),
    _av("WLNLLLL", "AAC (ADTS)", ".aac", "adts", "aac", header=100),
    Row("WLNLLLL", "AAC (ADTS), ID3v2 in front", ".aac", av.adts_id3, header=30, slack=LOSSY),
    _av("WSNSSSS", "WMA", ".wma", "asf", "wmav2", header=100),
    _av("WSNSSSS", "WebM, Opus", ".webm", "webm", "libopus", header=100),
    Row("WLNSSSL", "WebM, Opus, recorded by a browser", ".webm", av.live_webm, **LATE),
    _exact("WTNTDTT", "Matroska, FLAC", ".mka", "matroska", "flac", header=100),
    _av("WSNSSSS", "Matroska, MP3", ".mka", "matroska", "libmp3lame", header=100),
    _av("WSNSSSS", "Matroska, AAC", ".mka", "matroska", "aac", header=100),
    _exact("WTNTTTT", "Matroska, PCM", ".mka", "matroska", "pcm_s16le", header=100),
    _exact("WTNDDDD", "TTA", ".tta", "tta", "tta", header=15),
    _exact("WTNTTTT", "VOC", ".voc", "voc", "pcm_s16le", header=20),
    Row("WTTTUUT", "VOC, size 8 bytes too small (SoX)", ".voc", pcm.voc_by_sox, slack=0.001),
    _exact("WTNTTTT", "VOC, A-law, 8 kHz", ".voc", "voc", "pcm_alaw", header=20),
    _exact("WTNDDDD", "WavPack", ".wv", "wv", "wavpack", header=20),
    _av("WLNLLLL", "AC-3", ".ac3", "ac3", "ac3", header=20),
    _av("WLNLLLL", "E-AC-3", ".eac3", "eac3", "eac3", header=20),
    _av("WLNLLLL", "AMR", ".amr", "amr", "libopencore_amrnb", header=10),
    _av("WTTTSST", "AMR in 3GP", ".3gp", "3gp", "libopencore_amrnb"),
    Row("WSNSSSS", "MP3 named .wav", ".wav", partial(mp3.encoded, "cbr"), **LATE),
    Row("WSTSSSS", "M4A named .mp3", ".mp3", av.fast_start, **LATE),
    Row("WTTDDDD", "FLAC named .mp3", ".mp3", ogg.flac, header=30),
    Row("WTTTUUU", "WAV named .flac", ".flac", pcm.wav, header=30),
    Row("WLTSSSL", "Vorbis named .mp3", ".mp3", partial(ogg.encoded, "vorbis"), **LATE),
)
