"""Audio files: finding them, decoding them, bringing them to one rate, writing them."""

from mscol_cli.audio.decode import (
    Audio,
    AudioStream,
    durations,
    load_mono,
    open_audio,
    read_audio,
)
from mscol_cli.audio.files import find_audio
from mscol_cli.audio.resample import StreamResampler, resample, resample_array
from mscol_cli.audio.write import check_format, headroom, write_audio, write_blocks

__all__ = [
    "Audio",
    "AudioStream",
    "StreamResampler",
    "check_format",
    "durations",
    "find_audio",
    "headroom",
    "load_mono",
    "open_audio",
    "read_audio",
    "resample",
    "resample_array",
    "write_audio",
    "write_blocks",
]
