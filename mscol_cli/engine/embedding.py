"""Whole clips to embeddings: one level for the clip, windows, batches of windows."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mscol_cli.audio import load_mono
from mscol_cli.contracts.encoder import Encoder
from mscol_cli.contracts.levels import Level, level_factor
from mscol_cli.engine.ahead import map_ahead
from mscol_cli.errors import BadInputError

DECODERS = min(4, os.cpu_count() or 1)


@dataclass(frozen=True)
class Clip:
    """A decoded clip.

    Attributes:
        name: What messages call it.
        waveform: (samples,) at the encoder's sample rate, at any level.
    """

    name: str
    waveform: NDArray[np.float32]


@dataclass(frozen=True)
class ClipEmbedding:
    """A clip's embedding, window by window.

    Attributes:
        windows: (windows, dim), at least one window.
        start_s: (windows,) where each window starts in the clip, in seconds.
    """

    windows: NDArray[np.float32]
    start_s: NDArray[np.float64]


@dataclass(frozen=True)
class _Framed:
    name: str
    windows: Tensor


def embed_files(
    encoder: Encoder, paths: Sequence[Path], *, device: torch.device, workers: int = DECODERS
) -> Iterator[ClipEmbedding | BadInputError]:
    """Embed audio files, one result per path in the order of the paths.

    At most `workers` files are decoded ahead, so memory is bounded by a few files.

    Args:
        encoder: On `device`; it runs in eval mode and gets its own mode back.
        paths: Audio files.
        device: Where the encoder is.
        workers: Threads that decode.
    """

    def load(path: Path) -> Clip | BadInputError:
        try:
            return Clip(str(path), load_mono(path, encoder.sample_rate))
        except BadInputError as error:
            return error
        except OSError as error:
            return BadInputError(f"{path}: cannot be read ({error.strerror}); check the disk")

    return embed_clips(encoder, map_ahead(load, paths, workers), device=device)


def embed_clips(
    encoder: Encoder, clips: Iterable[Clip | BadInputError], *, device: torch.device
) -> Iterator[ClipEmbedding | BadInputError]:
    """Embed clips in order. Short ones share passes of the encoder, long ones take several.

    What comes as an error goes through; a clip shorter than one window becomes an error.
    """
    framed = (_frame(encoder, clip) if isinstance(clip, Clip) else clip for clip in clips)
    for group in _groups(framed, _windows_per_pass(device)):
        yield from _embed_group(encoder, group, device)


def embed_clip(encoder: Encoder, waveform: NDArray[np.float32]) -> ClipEmbedding:
    """Embed one waveform (samples,) at the encoder's sample rate, on the encoder's device.

    Raises:
        BadInputError: It is shorter than one window.
    """
    device = next(encoder.parameters()).device
    (result,) = embed_clips(encoder, [Clip("the clip", waveform)], device=device)
    if isinstance(result, BadInputError):
        raise result
    return result


def count_windows(encoder: Encoder, samples: int) -> int:
    """How many whole windows a clip of that length has; they overlap only by what `crop_samples`
    exceeds `window_hop`."""
    return max(0, 1 + (samples - encoder.crop_samples) // encoder.window_hop)


def at_level(waveform: NDArray[np.float32], level: Level) -> NDArray[np.float32]:
    """A whole clip (samples,) at a level; silence stays silence."""
    norm = np.sqrt(np.einsum("i,i->", waveform, waveform, dtype=np.float64))
    scaled: NDArray[np.float32] = waveform * np.float32(level_factor(level, norm, len(waveform)))
    return scaled


def _frame(encoder: Encoder, clip: Clip) -> _Framed | BadInputError:
    samples = len(clip.waveform)
    if count_windows(encoder, samples) == 0:
        lasts, needed = samples / encoder.sample_rate, encoder.crop_samples / encoder.sample_rate
        return BadInputError(
            f"{clip.name}: lasts {lasts:.3f} s, one window needs {needed:.3f} s; leave it out"
        )
    waveform = torch.from_numpy(at_level(clip.waveform, encoder.level))
    return _Framed(clip.name, waveform.unfold(0, encoder.crop_samples, encoder.window_hop))


def _groups(
    clips: Iterable[_Framed | BadInputError], enough: int
) -> Iterator[list[_Framed | BadInputError]]:
    """Consecutive clips that have `enough` windows together."""
    group: list[_Framed | BadInputError] = []
    windows = 0
    for clip in clips:
        group.append(clip)
        windows += len(clip.windows) if isinstance(clip, _Framed) else 0
        if windows >= enough:
            yield group
            group, windows = [], 0
    if group:
        yield group


def _embed_group(
    encoder: Encoder, group: Sequence[_Framed | BadInputError], device: torch.device
) -> Iterator[ClipEmbedding | BadInputError]:
    framed = [clip.windows for clip in group if isinstance(clip, _Framed)]
    vectors = _run(encoder, framed, device) if framed else torch.zeros(0, encoder.dim)
    per_clip = iter(torch.split(vectors, [len(windows) for windows in framed]))
    for clip in group:
        yield clip if isinstance(clip, BadInputError) else _result(encoder, clip, next(per_clip))


def _run(encoder: Encoder, clips: Sequence[Tensor], device: torch.device) -> Tensor:
    """Windows of clips, (windows, samples) each, to all embeddings (windows, dim) on the CPU."""
    was_training = encoder.training
    encoder.eval()
    try:
        with torch.inference_mode():
            passes = [
                encoder(encoder.frontend(windows.to(device))).float().cpu()
                for windows in _passes(clips, _windows_per_pass(device))
            ]
    finally:
        encoder.train(was_training)
    return torch.cat(passes)


def _passes(clips: Sequence[Tensor], most: int) -> Iterator[Tensor]:
    """At most that many windows at a time: the windows of a long clip, which overlap, are never
    all copied apart."""
    waiting: list[Tensor] = []
    for piece in (piece for clip in clips for piece in torch.split(clip, most)):
        if sum(map(len, waiting)) + len(piece) > most:
            yield torch.cat(waiting)
            waiting = []
        waiting.append(piece)
    yield torch.cat(waiting)


def _result(encoder: Encoder, clip: _Framed, vectors: Tensor) -> ClipEmbedding | BadInputError:
    windows: NDArray[np.float32] = vectors.numpy()
    if not np.isfinite(windows).all():
        return BadInputError(f"{clip.name}: its embedding is not finite; use another checkpoint")
    start_s = np.arange(len(windows), dtype=np.float64) * encoder.window_hop / encoder.sample_rate
    return ClipEmbedding(windows, start_s)


def _windows_per_pass(device: torch.device) -> int:
    # A GPU wants wide passes; a CPU is fastest when activations stay near its caches.
    return 32 if device.type == "cpu" else 256
