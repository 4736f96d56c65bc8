"""Cards of the bundled encoders; nothing here imports torch."""

from __future__ import annotations

from mscol_cli.api import EncoderCard, hookimpl
from mscol_encoders.options import EfficientNetOptions, LogMelOptions

EFFICIENTNET_PAPER = (
    "Tan, Le: EfficientNet, Rethinking Model Scaling for Convolutional Neural Networks, ICML 2019,"
    " arXiv 1905.11946"
)

SAMPLE_CNN_PAPER = (
    "Lee, Park, Kim, Nam: SampleCNN, End-to-End Deep Convolutional Neural Networks Using Very Small"
    " Filters for Music Classification, Applied Sciences 2018; as in CLMR, arXiv 2103.09410"
)


@hookimpl
def mscol_encoders() -> list[EncoderCard]:
    """The published encoder, a small one, and the encoder of CLMR."""
    return [
        EncoderCard(
            "efficientnet_b0",
            "EfficientNet-B0 on a log-mel spectrogram, 1280 dimensions, as published",
            "mscol_encoders.efficientnet:EfficientNetB0",
            EfficientNetOptions,
            EFFICIENTNET_PAPER,
        ),
        EncoderCard(
            "small",
            "five convolutions on the same log-mel, 256 dimensions, trains on a CPU in a minute",
            "mscol_encoders.small:SmallEncoder",
            LogMelOptions,
        ),
        EncoderCard(
            "sample_cnn",
            "SampleCNN on 2.7 s of raw audio, 512 dimensions, as in CLMR",
            "mscol_encoders.sample_cnn:SampleCNN",
            reference=SAMPLE_CNN_PAPER,
        ),
    ]
