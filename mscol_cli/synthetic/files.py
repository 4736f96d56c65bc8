"""Audio files and file names."""

import re
from pathlib import Path

import numpy as np
import soundfile

from mscol_cli.synthetic.signals import Audio

# libsndfile's scale is 0 (best) to 1; about 32 and 56 kbit/s at 16 and 22.05 kHz.
MP3_COMPRESSION = {16_000: 0.85, 22_050: 0.7}


def write_wav(path: Path, audio: Audio, sample_rate: int) -> None:
    """Write (samples,) as 16-bit PCM; multiples of 2**-15 are exact."""
    pcm = np.clip(np.round(audio * 32768.0), -32768, 32767).astype(np.int16)
    soundfile.write(path, pcm, sample_rate, subtype="PCM_16", format="WAV")


def write_mp3(path: Path, audio: Audio, sample_rate: int) -> None:
    """Write (samples,) as MP3 with a constant bit rate."""
    soundfile.write(
        path,
        audio,
        sample_rate,
        format="MP3",
        subtype="MPEG_LAYER_III",
        compression_level=MP3_COMPRESSION.get(sample_rate, 0.7),
        bitrate_mode="CONSTANT",
    )


def slug(name: str) -> str:
    """Lower case, with an underscore for each run of other characters than letters and digits."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
