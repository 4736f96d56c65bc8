"""Audio files: finding them, decoding them, bringing them to one rate."""

from mscol_cli.audio.decode import Audio, load_mono, read_audio
from mscol_cli.audio.files import find_audio
from mscol_cli.audio.resample import resample, resample_array

__all__ = ["Audio", "find_audio", "load_mono", "read_audio", "resample", "resample_array"]
