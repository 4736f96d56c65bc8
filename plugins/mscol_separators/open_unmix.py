"""`openunmix`: sources estimated from the mix by Open-Unmix."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from importlib.metadata import version
from typing import TYPE_CHECKING

import torch

from mscol_cli.api import MIXTURE, Chunking, Separator, SeparatorContext, UsageError, file_hash
from mscol_separators.models import find_model, load_target
from mscol_separators.networks import TargetNetwork
from mscol_separators.precision import DTYPES, pick_precision
from mscol_separators.spectra import Overlap, Spectra
from mscol_separators.wiener import filter_equal_channels, filter_stereo

if TYPE_CHECKING:
    from torch import Tensor

    from mscol_separators.options import OpenUnmixOptions

_CHUNK_WINDOWS, _OVERLAP_WINDOWS = 9, 2
_CPU_SECONDS = 126
_GPU_SECONDS = 3_600
_GPU_BYTES_PER_SECOND = 6_000_000
"""Estimated memory per second of music, for four targets of the largest model; the host retries
with smaller batches if it is too low."""


class OpenUnmixSeparator(Separator):
    """Open-Unmix's spectrogram networks followed by its multichannel Wiener filter.

    The output equals that of the package's own `Separator`, up to rounding. Mono input is used for
    both channels of a stereo network, and input with more than two channels is averaged to mono.
    Chunks of a long track begin at windows of the filter. Networks are loaded on first use.
    """

    def __init__(self, options: OpenUnmixOptions, context: SeparatorContext) -> None:
        """Find the weights, and download missing published ones.

        Raises:
            UsageError: The model is unknown, or it or the filter does not support the targets.
            MissingDataError: Weights are missing or damaged.
        """
        self._model = find_model(context, options.targets)
        _check(self._model.targets, self._model.channels, options.niter)
        self._options = options
        self._device = context.device
        largest = max(self._model.hidden_size.values(), default=0)
        precision = pick_precision(context.precision, context.device, largest)
        self._dtype = DTYPES[precision]
        self.sources = self._model.targets
        self.sample_rate = self._model.sample_rate
        self.channels = self._model.channels
        window = options.wiener_win_len * self._model.n_hop
        self.chunking = Chunking(samples=_CHUNK_WINDOWS * window, overlap=_OVERLAP_WINDOWS * window)
        self.batch_samples = _batch_seconds(context.device) * self._model.sample_rate
        passport = {
            "network": f"openunmix {version('openunmix')}",
            "model": self._model.name,
            "licence": self._model.licence,
            **{f"{name} sha256": file_hash(path) for name, path in self._model.weights.items()},
        }
        if precision != "fp32":
            passport["precision"] = precision
        self.passport = passport

    def separate(self, audio: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Estimate every target from the mix."""
        return self.separate_many([audio])[0]

    @torch.inference_mode()
    def separate_many(self, batch: Sequence[Mapping[str, Tensor]]) -> list[Mapping[str, Tensor]]:
        """Estimate every target from each of the mixes."""
        mixtures = [audio[MIXTURE] for audio in batch]
        inputs = [self._network_input(mixture) for mixture in mixtures]
        estimates: dict[int, Tensor] = {}
        for channels in {len(waveform) for waveform in inputs}:
            group = [number for number, item in enumerate(inputs) if len(item) == channels]
            separated = self._separate_group([inputs[number] for number in group])
            estimates.update(zip(group, separated, strict=True))
        return [
            {MIXTURE: mixture, **dict(zip(self.sources, estimates[number], strict=True))}
            for number, mixture in enumerate(mixtures)
        ]

    def _network_input(self, mixture: Tensor) -> Tensor:
        """The channels of the mixture, or their mean if the network has another number."""
        if len(mixture) == self._model.channels:
            return mixture.to(self._device)
        return mixture.mean(dim=0, keepdim=True).to(self._device)

    def _separate_group(self, waveforms: Sequence[Tensor]) -> list[Tensor]:
        """Separate mixtures (channels, samples) with equally many channels.

        Returns:
            (targets, channels, samples) per mixture.
        """
        lengths = [self._spectra.frames(waveform.shape[-1]) for waveform in waveforms]
        magnitudes = self._magnitudes(waveforms, lengths)
        hidden = [network.encode(magnitudes, lengths) for network in self._networks]
        del magnitudes
        return [
            self._render(waveforms[number], [states[:length, number] for states in hidden])
            for number, length in enumerate(lengths)
        ]

    def _magnitudes(self, waveforms: Sequence[Tensor], lengths: Sequence[int]) -> Tensor:
        """Network input, (frames, clips, channels * bins), zero after the end of a clip."""
        bins, channels = self._networks[0].bins, len(waveforms[0])
        magnitudes = waveforms[0].new_zeros(max(lengths), len(waveforms), channels, bins)
        for number, waveform in enumerate(waveforms):
            magnitude = self._spectra.forward(waveform)[..., :bins].abs()
            magnitudes[: lengths[number], number] = magnitude.transpose(0, 1)
        return magnitudes.flatten(2)

    def _render(self, waveform: Tensor, hidden: Sequence[Tensor]) -> Tensor:
        """Apply masks, filter and inverse transform to one clip, a window of frames at a time.

        Args:
            waveform: (channels, samples) mixture.
            hidden: (frames, hidden) output of `TargetNetwork.encode`, by target.

        Returns:
            (targets, channels, samples).
        """
        # Recomputed, as the spectrograms of all clips of a batch would take most of the memory.
        spectrogram = self._spectra.forward(waveform)
        shape = (len(hidden), self._model.channels)
        overlap = Overlap(self._spectra, shape, waveform.shape[-1])
        size = self._options.wiener_win_len
        for start in range(0, spectrogram.shape[1], size):
            part = slice(start, start + size)
            masks = torch.stack(
                [
                    network.masks(states[part])
                    for network, states in zip(self._networks, hidden, strict=True)
                ]
            )
            self._add(overlap, masks, spectrogram[:, part])
        return overlap.waveform()

    def _add(self, overlap: Overlap, masks: Tensor, mixture: Tensor) -> None:
        """Filter one window, and add its frames to the waveforms."""
        channels = masks.shape[1]
        estimates = self._estimates(masks, mixture.expand(channels, -1, -1), len(mixture) == 1)
        for number, frames in enumerate(estimates):
            overlap.add(divmod(number, channels), frames)
        overlap.advance(mixture.shape[1])

    def _estimates(self, masks: Tensor, mixture: Tensor, equal: bool) -> Iterator[Tensor]:
        """Yield complex (frames, bins) of each channel of each target."""
        niter = self._options.niter
        if niter and not equal:
            yield from filter_stereo(masks, mixture, niter).flatten(0, 1)
            return
        gains = filter_equal_channels(masks, mixture[0], niter) if niter else masks
        for target in gains:
            yield from (gain * channel for gain, channel in zip(target, mixture, strict=True))

    @cached_property
    def _spectra(self) -> Spectra:
        return Spectra(self._model.n_fft, self._model.n_hop, self._device)

    @cached_property
    def _networks(self) -> list[TargetNetwork]:
        loaded = (
            TargetNetwork(load_target(self._model, name), self._dtype) for name in self.sources
        )
        return [network.to(self._device).eval() for network in loaded]


def _check(targets: Sequence[str], channels: int, niter: int) -> None:
    if len(set(targets)) < len(targets):
        raise UsageError("option targets of separator 'openunmix' takes each target once.")
    if len(targets) == 1 and niter:
        raise UsageError("the Wiener filter needs at least two targets: add --opt niter=0.")
    if channels > 2 and niter:
        raise UsageError(
            f"the filter takes two channels, the model has {channels}: add --opt niter=0."
        )


def _batch_seconds(device: str) -> int:
    """Seconds of music per batch."""
    if not device.startswith("cuda"):
        return _CPU_SECONDS
    free, _ = torch.cuda.mem_get_info(torch.device(device))
    return max(1, min(_GPU_SECONDS, int(0.8 * free) // _GPU_BYTES_PER_SECOND))
