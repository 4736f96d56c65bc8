"""Cards of the bundled encoders; nothing here imports torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mscol_cli.api import EncoderCard, NoOptions, hookimpl
from mscol_encoders.options import EfficientNetOptions, LogMelOptions

if TYPE_CHECKING:
    from mscol_cli.api import Encoder

EFFICIENTNET_PAPER = (
    "Tan, Le: EfficientNet, Rethinking Model Scaling for Convolutional Neural Networks, ICML 2019,"
    " arXiv 1905.11946"
)

SAMPLE_CNN_PAPER = (
    "Lee, Park, Kim, Nam: SampleCNN, End-to-End Deep Convolutional Neural Networks Using Very Small"
    " Filters for Music Classification, Applied Sciences 2018; as in CLMR, arXiv 2103.09410"
)


def _efficientnet_b0(options: EfficientNetOptions) -> Encoder:
    from mscol_encoders.efficientnet import EfficientNetB0

    return EfficientNetB0(options)


def _small(options: LogMelOptions) -> Encoder:
    from mscol_encoders.small import SmallEncoder

    return SmallEncoder(options)


def _sample_cnn(_: NoOptions) -> Encoder:
    from mscol_encoders.sample_cnn import SampleCNN

    return SampleCNN()


@hookimpl
def mscol_encoders() -> list[EncoderCard]:
    """The published encoder, a small one, and that of CLMR."""
    return [
        EncoderCard(
            "efficientnet_b0",
            "EfficientNet-B0 on a log-mel spectrogram, 1280 dimensions, as published",
            _efficientnet_b0,
            EfficientNetOptions,
            EFFICIENTNET_PAPER,
        ),
        EncoderCard(
            "small",
            "five convolutions on the same log-mel, 256 dimensions, trains on a CPU in a minute",
            _small,
            LogMelOptions,
        ),
        EncoderCard(
            "sample_cnn",
            "SampleCNN on 2.7 s of raw audio, 512 dimensions, as in CLMR",
            _sample_cnn,
            reference=SAMPLE_CNN_PAPER,
        ),
    ]
