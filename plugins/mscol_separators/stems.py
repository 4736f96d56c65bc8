"""`stems`: the true sources, where a data set has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from mscol_cli.api import MIXTURE, Chunking, InputFile, Separator, TrackInput, UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from mscol_separators.plugin import StemsOptions

_MIX_NAMES = (MIXTURE, "mix")


class StemsSeparator(Separator):
    """A folder is a track, its files are the stems; a stem it lacks is silent."""

    chunking = Chunking(samples=1 << 21, overlap=0)

    def __init__(self, options: StemsOptions) -> None:
        if not options.names or set(options.names) & set(_MIX_NAMES):
            raise UsageError(
                "option names of separator 'stems' takes stems, not the mix or nothing."
            )
        self.sources = tuple(dict.fromkeys(options.names))

    def tracks(self, files: Sequence[InputFile]) -> list[TrackInput]:
        """One track per folder that holds files, named after the folder."""
        folders: dict[Path, list[InputFile]] = {}
        for file in files:
            folders.setdefault(file.path.parent, []).append(file)
        return [self._track(group) for group in folders.values()]

    def separate(self, audio: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Return the mix, or the sum of all files, and the named stems."""
        audio = _same_channels(audio)
        mixture = audio.get(MIXTURE)
        if mixture is None:
            mixture = torch.stack(list(audio.values())).sum(dim=0)
        silence = torch.zeros_like(mixture)
        return {MIXTURE: mixture, **{name: audio.get(name, silence) for name in self.sources}}

    def _track(self, group: Sequence[InputFile]) -> TrackInput:
        folder = group[0].path.parent
        name = group[0].name.rpartition("/")[0] or folder.resolve().name or "track"
        files: dict[str, Path] = {}
        for file in group:
            role = _role(file.path)
            if role in files:
                return TrackInput(name, problem=f"{folder}: two files are its {role}; keep one")
            files[role] = file.path
        if not any(source in files for source in self.sources):
            wanted, found = ", ".join(self.sources), ", ".join(files)
            return TrackInput(name, problem=f"{folder}: no stem named {wanted} (found {found})")
        if MIXTURE in files:
            files = {role: files[role] for role in (MIXTURE, *self.sources) if role in files}
        return TrackInput(name, files)


def _role(path: Path) -> str:
    stem = path.stem.lower()
    return MIXTURE if stem in _MIX_NAMES else stem


def _same_channels(audio: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Average each file to mono if they differ in how many channels they have."""
    if len({len(waveform) for waveform in audio.values()}) == 1:
        return audio
    return {role: waveform.mean(dim=0, keepdim=True) for role, waveform in audio.items()}
