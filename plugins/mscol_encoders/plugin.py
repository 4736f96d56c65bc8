"""Cards of the bundled encoders; nothing here imports torch."""

from __future__ import annotations

from mscol_cli.api import EncoderCard, hookimpl
from mscol_encoders.options import EfficientNetOptions, LogMelOptions

EFFICIENTNET_PAPER = (
    "Tan, Le: EfficientNet, Rethinking Model Scaling for Convolutional Neural Networks, ICML 2019,"
    " arXiv 1905.11946"
)

EFFICIENTNET_BY_TIMM = """\
import timm
from huggingface_hub import hf_hub_download
from safetensors.torch import load_file
from torch import nn
from torch.nn.functional import pad

weights = load_file(hf_hub_download("{repository}", "encoder.safetensors"))
model = timm.create_model(
    "tf_efficientnet_b0", in_chans=1, num_classes=0, global_pool="max", bn_eps=1e-3
)
model.load_state_dict({name.removeprefix("network."): value for name, value in weights.items()})


def keras_padding(conv, inputs):
    after = conv.kernel_size[0] // 2
    return pad(inputs[0], (after - 1, after, after - 1, after))


for module in model.modules():
    if isinstance(module, nn.Conv2d) and module.stride == (2, 2):
        module.__class__ = nn.Conv2d
        module.register_forward_pre_hook(keras_padding)
model.eval()
# Log-mel spectrograms, (batch, frames, 64), to vectors, (batch, 1280):
# vectors = model(log_mel.unsqueeze(1) / 255)
"""
"""The front end is documented in `mscol_encoders.logmel.LogMel`."""

SAMPLE_CNN_PAPER = (
    "Lee, Park, Kim, Nam: SampleCNN, End-to-End Deep Convolutional Neural Networks Using Very Small"
    " Filters for Music Classification, Applied Sciences 2018; as in CLMR, arXiv 2103.09410"
)


@hookimpl
def mscol_encoders() -> list[EncoderCard]:
    """The published encoder, a small one, the encoder of CLMR, and a baseline."""
    return [
        EncoderCard(
            "efficientnet_b0",
            "EfficientNet-B0 on a log-mel spectrogram, 1280 dimensions, as published",
            "mscol_encoders.efficientnet:EfficientNetB0",
            EfficientNetOptions,
            EFFICIENTNET_PAPER,
            standalone=EFFICIENTNET_BY_TIMM,
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
        EncoderCard(
            "logmel",
            "mean and standard deviation of each log-mel band, 128 dimensions: a baseline",
            "mscol_encoders.statistics:LogMelStatistics",
            LogMelOptions,
        ),
    ]
