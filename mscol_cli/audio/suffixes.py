"""Suffixes of audio files."""

from __future__ import annotations

MPEG_SUFFIXES = frozenset({".mp3", ".mp2", ".mp1", ".mpga"})
AUDIO_SUFFIXES = MPEG_SUFFIXES | frozenset(
    {".wav", ".wave", ".w64", ".rf64", ".bwf", ".flac", ".aif", ".aiff", ".aifc", ".caf"}
    | {".au", ".snd", ".ogg", ".oga", ".opus", ".spx", ".m4a", ".m4b", ".m4r", ".mp4", ".alac"}
    | {".aac", ".adts", ".ac3", ".eac3", ".dts", ".wma", ".webm", ".weba", ".mka", ".3gp"}
    | {".ape", ".wv", ".tta", ".tak", ".mpc", ".shn", ".dsf", ".amr", ".oma", ".voc"}
)
"""Suffixes searched for in folders; an input that is a file may have any suffix."""
