"""Clips decoded once and kept in memory as a few crops each, to be embedded repeatedly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mscol_cli.audio import load_mono
from mscol_cli.contracts.encoder import Encoder
from mscol_cli.contracts.progress import Progress
from mscol_cli.engine.embedding import at_level, frozen, windows_per_pass
from mscol_cli.engine.encoding import encode
from mscol_cli.store.arrays import extent, quantise
from mscol_cli.system.prefetch import DECODERS, map_ahead


@dataclass(frozen=True)
class HeldClips:
    """Crops in memory, 16 bits per sample.

    Attributes:
        kept: (clips,) indices of the files that could be used.
        samples: (clips, crops, samples) int16.
        gain: (clips, crops) float32 factors that scale samples to the encoder's level.
    """

    kept: NDArray[np.int64]
    samples: Tensor
    gain: Tensor

    def embed(self, encoder: Encoder, device: torch.device) -> Tensor:
        """Embed clips as the mean over their crops, (clips, dim) float32 on the CPU."""
        clips, crops, _ = self.samples.shape
        size = windows_per_pass(device)
        samples = torch.split(self.samples.flatten(0, 1), size)
        pieces = zip(samples, torch.split(self.gain.flatten(), size), strict=True)
        with frozen(encoder, noise=False), torch.inference_mode():
            passes = [
                encode(encoder, part.to(device).float() * gain.to(device)[:, None])
                for part, gain in pieces
            ]
            rows = torch.cat([vectors.float().cpu() for vectors in passes])
        return rows.view(clips, crops, -1).mean(1)


def hold_clips(
    paths: Sequence[Path], encoder: Encoder, crops: int, progress: Progress
) -> HeldClips:
    """Decode files and keep evenly spaced crops of each.

    Files that cannot be read, or are shorter than a crop, are left out.

    Args:
        paths: Audio files.
        encoder: Determines length, sample rate and level of crops.
        crops: Number of crops per file; in a short file they overlap.
        progress: Advanced by one for each file.
    """
    kept, samples, gains = list[int](), list[Tensor](), list[Tensor]()
    cuts = map_ahead(lambda path: _cut(path, encoder, crops), paths, DECODERS)
    for row, cut in enumerate(cuts):
        progress.advance()
        if cut is not None:
            kept.append(row)
            samples.append(cut[0])
            gains.append(cut[1])
    if not kept:
        empty = torch.zeros(0, crops, encoder.crop_samples, dtype=torch.int16)
        return HeldClips(np.zeros(0, np.int64), empty, torch.zeros(0, crops))
    return HeldClips(np.array(kept), torch.stack(samples), torch.stack(gains))


def _cut(path: Path, encoder: Encoder, crops: int) -> tuple[Tensor, Tensor] | None:
    try:
        waveform = load_mono(path, encoder.sample_rate)
    except Exception:  # one unusable file must not stop training
        return None
    room = len(waveform) - encoder.crop_samples
    if room < 0:
        return None
    levelled = at_level(waveform, encoder.level)
    starts = (np.arange(crops) + 0.5) / crops * room
    cut = [levelled[start : start + encoder.crop_samples] for start in starts.astype(np.int64)]
    sizes = [extent(crop) for crop in cut]
    samples = [
        np.concatenate(list(quantise(crop, size.peak)))
        for crop, size in zip(cut, sizes, strict=True)
    ]
    return torch.from_numpy(np.stack(samples)), torch.tensor([size.gain for size in sizes])
