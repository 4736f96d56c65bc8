"""Audio files: search, decoding, resampling and writing."""

from mscol_cli.audio.corruption import Corruption, load_corrupted
from mscol_cli.audio.decode import (
    Audio,
    AudioHeader,
    AudioStream,
    OnShort,
    audio_header,
    durations,
    load_mono,
    open_audio,
    read_audio,
    shortfall,
)
from mscol_cli.audio.files import AudioListing, check_unique, find_audio
from mscol_cli.audio.resample import StreamResampler, resample, resample_array
from mscol_cli.audio.write import (
    bytes_per_sample,
    check_format,
    headroom,
    write_audio,
    write_blocks,
)

__all__ = [
    "Audio",
    "AudioHeader",
    "AudioListing",
    "AudioStream",
    "Corruption",
    "OnShort",
    "StreamResampler",
    "audio_header",
    "bytes_per_sample",
    "check_format",
    "check_unique",
    "durations",
    "find_audio",
    "headroom",
    "load_corrupted",
    "load_mono",
    "open_audio",
    "read_audio",
    "resample",
    "resample_array",
    "shortfall",
    "write_audio",
    "write_blocks",
]
