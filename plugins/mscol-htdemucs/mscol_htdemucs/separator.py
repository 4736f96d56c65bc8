"""`htdemucs`: sources estimated from the mix by Hybrid Transformer Demucs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from mscol_cli.api import MIXTURE, Separator, SeparatorContext, UsageError, file_hash
from mscol_htdemucs.network import CHANNELS, SOURCES, Network
from mscol_htdemucs.segments import in_segments
from mscol_htdemucs.spectrogram import EDGE, SEGMENT, to_spectrogram, to_waveform

if TYPE_CHECKING:
    from torch import Tensor

    from mscol_htdemucs.options import HTDemucsOptions

_SILENT = 1e-8


class HTDemucsSeparator(Separator):
    """Hybrid Transformer Demucs, which estimates all sources at once.

    Mono input is used for both channels of the network, and its stems are averaged to mono. Input
    with more than two channels is averaged to mono first.
    """

    sources = SOURCES
    sample_rate = 44_100

    def __init__(self, options: HTDemucsOptions, context: SeparatorContext) -> None:
        """Open the file that `--model` names.

        Raises:
            UsageError: `--model` is not set, or the file is another network.
            MissingDataError: The file is missing.
        """
        if context.model is None:
            raise UsageError("separator 'htdemucs' needs weights: set --model FILE.onnx")
        path = Path(context.model).expanduser()
        self._overlap = options.overlap
        self._network = Network(path, context.device)
        self.passport = {
            "model": path.name,
            "sha256": file_hash(path),
            "licence": "that of the file; weights published with Demucs are for personal and"
            " research use only",
        }

    @torch.no_grad()
    def separate(self, audio: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Estimate every source from the mix."""
        mixture = audio[MIXTURE]
        channels = mixture if len(mixture) <= CHANNELS else mixture.mean(dim=0, keepdim=True)
        stems = self._separate_stereo(channels.expand(CHANNELS, -1))
        if len(channels) == 1:
            stems = stems.mean(dim=1, keepdim=True)
        return {MIXTURE: mixture, **dict(zip(SOURCES, stems, strict=True))}

    def _separate_stereo(self, waveform: Tensor) -> Tensor:
        """Separate (2, samples), normalised by the mono mix, into (sources, 2, samples)."""
        mono = waveform.mean(dim=0)
        mean, deviation = mono.mean(), mono.std(correction=0) + _SILENT
        stems = in_segments(
            (waveform - mean) / deviation,
            self._estimate,
            segment=SEGMENT,
            edge=EDGE,
            overlap=self._overlap,
        )
        # Demucs adds the mean to each source; divided among them, sources add up to the mix.
        return stems * deviation + mean / len(SOURCES)

    def _estimate(self, segment: Tensor) -> Tensor:
        """Map (2, SEGMENT) to (sources, 2, SEGMENT)."""
        spectrograms, waveforms = self._network(segment, to_spectrogram(segment))
        return to_waveform(spectrograms) + waveforms
