"""Embedding of complete clips: normalise the level, cut windows, encode in batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import chain
from math import sqrt
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mscol_cli.contracts.encoder import Encoder
from mscol_cli.contracts.levels import Level, level_factor
from mscol_cli.engine.devices import keep_freed_memory
from mscol_cli.engine.encoding import encode
from mscol_cli.engine.folding import folded
from mscol_cli.engine.waveforms import LongWaveform, Waveform, cut_windows, load_waveform
from mscol_cli.errors import BadInputError
from mscol_cli.host.guard import located
from mscol_cli.store.segments import SAMPLE_RATE, SEGMENT, segment_starts
from mscol_cli.system.outcomes import input_failure
from mscol_cli.system.prefetch import DECODERS, map_ahead

Decode = Callable[[Path, int], Waveform]
ReadClip = Callable[[int], Waveform]
"""Maps a sample rate in Hz to a waveform (samples,)."""
FOLD_FROM = 8
"""Windows of a group from which a folded copy of the encoder saves more time than it takes."""
SILENT_RMS = 2.0**-15
"""Root mean square up to which a clip is silent: one step of 16 bits, to which the rounding of
channels that cancel amounts."""
Cut = Callable[[Encoder, int], NDArray[np.int64]]
"""Maps an encoder and the length of a clip in samples to the first samples of its windows."""


@dataclass(frozen=True)
class Clip:
    """A decoded clip.

    Attributes:
        name: Name in messages.
        waveform: (samples,) at the encoder's sample rate, at any level.
    """

    name: str
    waveform: Waveform


@dataclass(frozen=True)
class ClipEmbedding:
    """Embeddings of the windows of a clip.

    Attributes:
        windows: (windows, dim), at least one window.
        start_s: (windows,) start of each window in the clip, in seconds.
        silent: Whether the mono mix of the clip is silent.
    """

    windows: NDArray[np.float32]
    start_s: NDArray[np.float64]
    silent: bool = False


@dataclass(frozen=True)
class _Framed:
    """A clip with the first samples of its windows and its gain, which is already applied to a
    waveform in memory."""

    name: str
    waveform: Waveform
    starts: NDArray[np.int64]
    silent: bool
    factor: float = 1.0

    def __len__(self) -> int:
        return len(self.starts)

    def windows(self, samples: int, limit: int) -> Iterator[Tensor]:
        """Yield (windows, samples) with at most `limit` windows, so that the overlapping windows of
        a long clip are never all in memory."""
        if isinstance(self.waveform, LongWaveform):
            for windows in cut_windows(self.name, self.waveform, self.starts, samples, limit):
                yield windows * self.factor
            return
        unfolded = torch.from_numpy(self.waveform).unfold(0, samples, 1)
        for starts in torch.split(torch.from_numpy(self.starts), limit):
            yield unfolded[starts]


def whole_windows(encoder: Encoder, samples: int, hop: int | None = None) -> NDArray[np.int64]:
    """First samples (windows,) of all complete windows of a clip; a partial window at the end is
    dropped.

    Args:
        encoder: The encoder.
        samples: Length of the clip.
        hop: Samples from the start of one window to the next; None for the encoder's `window_hop`.
    """
    hop = encoder.window_hop if hop is None else hop
    count = max(0, 1 + (samples - encoder.crop_samples) // hop)
    return np.arange(count, dtype=np.int64) * hop


def embed_files(
    encoder: Encoder,
    paths: Sequence[Path],
    *,
    device: torch.device,
    cut: Cut = whole_windows,
    noise: bool = False,
    decode: Decode = load_waveform,
) -> Iterator[ClipEmbedding | BadInputError]:
    """Embed audio files; yields one result per path, in the order of the paths.

    Threads decode a few files ahead, so memory is independent of the number and length of the
    files. Any exception while a file is decoded becomes an error of that file.

    Args:
        encoder: Encoder on `device`; it runs in eval mode, then returns to its previous mode.
        paths: Audio files.
        device: Device of the encoder.
        cut: Chooses where windows start.
        noise: Keep the encoder's stochastic layers (stochastic depth) in training mode.
        decode: Maps a file and a sample rate in Hz to a waveform (samples,).
    """
    readers = ((str(path), partial(decode, path)) for path in paths)
    clips = read_ahead(readers, encoder.sample_rate)
    return embed_clips(encoder, clips, device=device, cut=cut, noise=noise)


def read_ahead(
    readers: Iterable[tuple[str, ReadClip]], sample_rate: int
) -> Iterator[Clip | BadInputError]:
    """Read clips in order, a few ahead. Any exception while a clip is read becomes its failure.

    Args:
        readers: Name in messages, and reader, of each clip.
        sample_rate: Sample rate of the waveforms in Hz.
    """

    def read(reader: tuple[str, ReadClip]) -> Clip | BadInputError:
        name, read_clip = reader
        try:
            return Clip(name, read_clip(sample_rate))
        except Exception as error:
            return input_failure(name, error)

    return map_ahead(read, readers, DECODERS)


def embed_clips(
    encoder: Encoder,
    clips: Iterable[Clip | BadInputError],
    *,
    device: torch.device,
    cut: Cut = whole_windows,
    noise: bool = False,
) -> Iterator[ClipEmbedding | BadInputError]:
    """Embed clips in order. Short clips share passes of the encoder, long clips take several.

    Errors among the clips are passed on; a clip shorter than one window becomes an error.
    """
    for group in embed_groups(encoder, clips, device=device, cut=cut, noise=noise):
        yield from group


def embed_groups(
    encoder: Encoder,
    clips: Iterable[Clip | BadInputError],
    *,
    device: torch.device,
    cut: Cut = whole_windows,
    noise: bool = False,
) -> Iterator[list[ClipEmbedding | BadInputError]]:
    """`embed_clips`, by groups of clips that share passes of the encoder.

    Which clips share a pass affects rounding. Clips that follow a group are grouped as if they were
    the first: work that is saved group by group resumes with the same batches.
    """
    framed = (_frame(encoder, clip, cut) if isinstance(clip, Clip) else clip for clip in clips)
    on_cpu = device.type == "cpu"
    copy: Encoder | None = None
    with keep_freed_memory() if on_cpu else nullcontext():
        for group in _groups(framed, windows_per_pass(device)):
            # Only the size of the group decides, so that repeating it gives the same bits.
            folds = on_cpu and not noise and _count(group) >= FOLD_FROM
            if folds and copy is None:
                copy = _folded(encoder)
            network = copy if folds and copy is not None else encoder
            yield list(_embed_group(network, group, device, noise))


def _folded(encoder: Encoder) -> Encoder:
    with frozen(encoder, noise=False):
        return folded(encoder)


def embed_clip(encoder: Encoder, waveform: NDArray[np.float32]) -> ClipEmbedding:
    """Embed one waveform (samples,) at the encoder's sample rate, on the encoder's device.

    Raises:
        BadInputError: The waveform is shorter than one window.
    """
    device = device_of(encoder)
    (result,) = embed_clips(encoder, [Clip("the clip", waveform)], device=device)
    if isinstance(result, BadInputError):
        raise result
    return result


def device_of(module: nn.Module) -> torch.device:
    """Device of a module's weights or, without weights, of its buffers; without both the CPU."""
    tensor = next(chain(module.parameters(), module.buffers()), None)
    return torch.device("cpu") if tensor is None else tensor.device


def at_level(waveform: NDArray[np.float32], level: Level) -> NDArray[np.float32]:
    """Scale a complete clip (samples,) to a level; silence stays silent."""
    return _scaled(waveform, level, _norm(waveform))


def _norm(waveform: Waveform) -> float:
    if isinstance(waveform, LongWaveform):
        return waveform.norm
    return float(np.sqrt(np.einsum("i,i->", waveform, waveform, dtype=np.float64)))


def _scaled(waveform: NDArray[np.float32], level: Level, norm: float) -> NDArray[np.float32]:
    scaled: NDArray[np.float32] = waveform * np.float32(level_factor(level, norm, len(waveform)))
    return scaled


def _frame(encoder: Encoder, clip: Clip, cut: Cut) -> _Framed | BadInputError:
    samples = len(clip.waveform)
    starts = cut(encoder, samples)
    if len(starts) == 0:
        seconds, needed = samples / encoder.sample_rate, encoder.crop_samples / encoder.sample_rate
        return BadInputError(
            f"{clip.name}: lasts {seconds:.3f} s, one window needs {needed:.3f} s; leave it out"
        )
    norm = _norm(clip.waveform)
    silent = norm <= SILENT_RMS * sqrt(samples)
    if isinstance(clip.waveform, LongWaveform):
        factor = float(np.float32(level_factor(encoder.level, norm, samples)))
        return _Framed(clip.name, clip.waveform, starts, silent, factor)
    return _Framed(clip.name, _scaled(clip.waveform, encoder.level, norm), starts, silent)


def _groups(
    clips: Iterable[_Framed | BadInputError], min_windows: int
) -> Iterator[list[_Framed | BadInputError]]:
    """Group consecutive clips with `min_windows` windows together; a long clip is its own group."""
    group: list[_Framed | BadInputError] = []
    windows = 0
    for clip in clips:
        if isinstance(clip, _Framed) and isinstance(clip.waveform, LongWaveform):
            if group:
                yield group
            yield [clip]
            group, windows = [], 0
            continue
        group.append(clip)
        windows += len(clip) if isinstance(clip, _Framed) else 0
        if windows >= min_windows:
            yield group
            group, windows = [], 0
    if group:
        yield group


def _count(group: Sequence[_Framed | BadInputError]) -> int:
    return sum(len(clip) for clip in group if isinstance(clip, _Framed))


def _embed_group(
    encoder: Encoder,
    group: Sequence[_Framed | BadInputError],
    device: torch.device,
    noise: bool,
) -> Iterator[ClipEmbedding | BadInputError]:
    framed = [clip for clip in group if isinstance(clip, _Framed)]
    try:
        vectors = _run(encoder, framed, device, noise) if framed else torch.zeros(0, encoder.dim)
    except BadInputError as error:  # a long clip, which is read a second time
        if len(group) > 1:
            raise
        yield error
        return
    per_clip = iter(torch.split(vectors, [len(clip) for clip in framed]))
    for clip in group:
        yield clip if isinstance(clip, BadInputError) else _result(encoder, clip, next(per_clip))


def _run(encoder: Encoder, clips: Sequence[_Framed], device: torch.device, noise: bool) -> Tensor:
    """Embed all windows of the clips: (windows, dim) on the CPU."""
    names = clips[0].name if len(clips) == 1 else f"{clips[0].name} and {len(clips) - 1} more"
    with frozen(encoder, noise), torch.inference_mode(), located(names):
        passes = [
            encode(encoder, windows.to(device)).float().cpu()
            for windows in _passes(clips, encoder.crop_samples, windows_per_pass(device))
        ]
    return torch.cat(passes)


@contextmanager
def frozen(encoder: Encoder, noise: bool) -> Iterator[None]:
    """Set eval mode or, with `noise`, training mode with frozen batch norm; restored on exit."""
    if not noise and not any(module.training for module in encoder.modules()):
        # Setting the mode of every part for each group would take some per cent of the time.
        yield
        return
    was_training = encoder.training
    encoder.train(noise)
    for module in encoder.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()
    try:
        yield
    finally:
        encoder.train(was_training)


def _passes(clips: Sequence[_Framed], samples: int, limit: int) -> Iterator[Tensor]:
    """All windows of the clips, in batches (windows, samples) of at most `limit` windows."""
    waiting: list[Tensor] = []
    for clip in clips:
        for windows in clip.windows(samples, limit):
            if sum(map(len, waiting)) + len(windows) > limit:
                yield torch.cat(waiting)
                waiting = []
            waiting.append(windows)
    yield torch.cat(waiting)


def _result(encoder: Encoder, clip: _Framed, vectors: Tensor) -> ClipEmbedding | BadInputError:
    windows: NDArray[np.float32] = vectors.numpy()
    if not np.isfinite(windows).all():
        return BadInputError(f"{clip.name}: its embedding is not finite; use another checkpoint")
    start_s = clip.starts.astype(np.float64) / encoder.sample_rate
    return ClipEmbedding(windows, start_s, clip.silent)


def windows_per_pass(device: torch.device) -> int:
    """Batch size in windows for inference."""
    # A GPU needs large batches; a CPU is fastest if the activations fit in its caches.
    return 32 if device.type == "cpu" else 1024


def random_crops(rng: np.random.Generator, last_offset: bool = True) -> Cut:
    """One crop per segment of about four seconds, at a random offset in the segment, as for the
    training of the published probes. A clip with a single segment is cut anywhere.

    Args:
        rng: Source of the offsets, clip by clip.
        last_offset: Whether a crop may end at the end of its segment.
    """

    def cut(encoder: Encoder, samples: int) -> NDArray[np.int64]:
        # Segments are those of stores, at 16 kHz.
        rate, crop = encoder.sample_rate, encoder.crop_samples
        starts = segment_starts(samples * SAMPLE_RATE // rate) * rate // SAMPLE_RATE
        if samples < crop:
            return starts[:0]
        if not len(starts):
            starts = np.zeros(1, dtype=np.int64)
        length = samples if len(starts) == 1 else SEGMENT * rate // SAMPLE_RATE
        offsets = max(0, length - crop) // encoder.start_grid + last_offset
        drawn: NDArray[np.int64] = rng.integers(0, max(offsets, 1), len(starts))
        # A crop that is longer than a segment reaches into the next one, but not beyond the clip.
        cuts: NDArray[np.int64] = np.minimum(starts + drawn * encoder.start_grid, samples - crop)
        return cuts

    return cut
