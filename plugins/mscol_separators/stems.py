"""`stems`: true sources of a data set, optionally degraded or mixed at random."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from mscol_cli.api import (
    MIXTURE,
    Chunking,
    InputFile,
    Separator,
    SeparatorContext,
    TrackInput,
    UsageError,
)
from mscol_separators.degrade import bleed, low_pass
from mscol_separators.mixture import refuse_model
from mscol_separators.options import NO_BLEED
from mscol_separators.random_mix import mix_at_random

if TYPE_CHECKING:
    from torch import Tensor

    from mscol_separators.options import StemsOptions

_MIX_NAMES = (MIXTURE, "mix")
_MULTI_STREAM = ".stem.mp4"
_SAMPLES = 1 << 18
"""6 s at 44.1 kHz: up to nine tracks of five files each are decoded ahead."""
_FADE = 1 << 15
"""Samples over which chunks are cross-faded, far more than the length of the low-pass filter."""
_FILTER_RATE = 44_100


class StemsSeparator(Separator):
    """A track is a folder whose files are its stems; missing stems are silent."""

    chunking = Chunking(_SAMPLES, overlap=0)

    def __init__(self, options: StemsOptions, context: SeparatorContext) -> None:
        refuse_model("stems", context)
        names = {name.lower(): name for name in options.names}
        if not names or names.keys() & set(_MIX_NAMES):
            raise UsageError(
                "option names of separator 'stems' takes at least one stem, and not the mix."
            )
        self.sources = tuple(names.values())
        self._names = {**dict.fromkeys(_MIX_NAMES, MIXTURE), **names}
        self._options = options
        if options.lowpass_hz:
            self.sample_rate = _FILTER_RATE
            self.chunking = Chunking(_SAMPLES, _FADE)

    def tracks(self, files: Sequence[InputFile]) -> list[TrackInput]:
        """Make one track per folder with files; with `mix=random`, from stems of other folders.

        Raises:
            UsageError: There are too few tracks to mix at random.
        """
        folders: dict[Path, list[InputFile]] = {}
        for file in files:
            folders.setdefault(file.path.parent, []).append(file)
        tracks = [self._track(group) for group in folders.values()]
        if self._options.mix == "random":
            return mix_at_random(tracks, self.sources, self._options.seed)
        return tracks

    def separate(self, audio: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Return the mix, or the sum of all files, and the stems, degraded by the options."""
        audio = _same_channels(audio)
        mixture = audio.get(MIXTURE)
        if mixture is None:
            mixture = torch.stack(list(audio.values())).sum(dim=0)
        silence = torch.zeros_like(mixture)
        stems = {name: audio.get(name, silence) for name in self.sources}
        return {
            MIXTURE: mixture,
            **{name: self._degraded(stem, mixture) for name, stem in stems.items()},
        }

    def _degraded(self, stem: Tensor, mixture: Tensor) -> Tensor:
        options = self._options
        if options.bleed_db > NO_BLEED:
            stem = bleed(stem, mixture, options.bleed_db)
        if options.lowpass_hz:
            stem = low_pass(stem, options.lowpass_hz, _FILTER_RATE)
        return stem

    def _track(self, group: Sequence[InputFile]) -> TrackInput:
        folder = group[0].path.parent
        name = group[0].name.rpartition("/")[0] or folder.resolve().name or "track"
        files: dict[str, Path] = {}
        for file in group:
            stem = file.path.stem.lower()
            role = self._names.get(stem, stem)
            if role in files:
                return TrackInput(name, problem=f"{folder}: two files are its {role}; keep one")
            files[role] = file.path
        if not any(source in files for source in self.sources):
            wanted, names = ", ".join(self.sources), ", ".join(files)
            problem = _multi_stream(group) or f"no stem named {wanted} (found {names})"
            return TrackInput(name, problem=f"{folder}: {problem}")
        if MIXTURE in files:
            files = {role: files[role] for role in (MIXTURE, *self.sources) if role in files}
        return TrackInput(name, files)


def _multi_stream(group: Sequence[InputFile]) -> str:
    """How to convert the first multi-stream file, as in MUSDB18; empty if there is none."""
    for file in group:
        if file.path.name.lower().endswith(_MULTI_STREAM):
            return (
                f"{file.path.name} is a multi-stream file: unpack its streams into one folder per"
                " track, each stream a file named after its stem"
            )
    return ""


def _same_channels(audio: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Average files to mono if their numbers of channels differ."""
    if len({len(waveform) for waveform in audio.values()}) == 1:
        return audio
    return {role: waveform.mean(dim=0, keepdim=True) for role, waveform in audio.items()}
