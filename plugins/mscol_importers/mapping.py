"""Mapping from variables of the published Keras network to weights of encoder and objective.

Keras numbers layers with weights in the order of creation. The network is EfficientNet-B0
(arXiv 1905.11946), a dense layer, and a layer normalisation. The table of stages below is from that
paper; the names of encoder weights are timm's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

Part = Literal["encoder", "objective"]
VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
ENCODER = "embedding_model/layer_with_weights-0"
NORMALISATION = f"{ENCODER}/layer_with_weights-0"
HEAD_LINEAR = "embedding_model/layer_with_weights-1"
HEAD_NORM = "embedding_model/layer_with_weights-2"
SIMILARITY = "_similarity_layer/bilinear_product_weight"

STEM, TOP, PROJECTION = 32, 1280, 512
STAGES = (
    # repeats, kernel, channels out, expansion
    (1, 3, 16, 1),
    (2, 3, 24, 6),
    (2, 5, 40, 6),
    (3, 3, 80, 6),
    (3, 5, 112, 6),
    (4, 5, 192, 6),
    (1, 3, 320, 6),
)
SQUEEZE = 4
"""Input channels of a block per channel of its squeeze-and-excitation."""

CONVOLUTION = (3, 2, 0, 1)
"""Keras' (height, width, in, out) to torch's (out, in, height, width)."""
DEPTHWISE = (2, 3, 0, 1)
"""Keras' (height, width, channels, 1) to torch's (channels, 1, height, width)."""
DENSE = (1, 0)
"""Keras' (in, out) to torch's (out, in)."""


@dataclass(frozen=True)
class Mapped:
    """A variable and the weight it becomes.

    Attributes:
        variable: Key in the checkpoint.
        shape: Shape in the checkpoint.
        part: Part that has the weight.
        weight: Name of the weight.
        axes: Permutation of the variable's axes; None keeps their order.
    """

    variable: str
    shape: tuple[int, ...]
    part: Part
    weight: str
    axes: tuple[int, ...] | None = None


class _Weight(NamedTuple):
    """One weight of a layer: Keras' name and shape, torch's name and permutation of axes."""

    variable: str
    shape: tuple[int, ...]
    weight: str
    axes: tuple[int, ...] | None = None


class _Layer(NamedTuple):
    """A layer with weights, with its name in timm's network."""

    name: str
    weights: tuple[_Weight, ...]


def published_mapping() -> tuple[Mapped, ...]:
    """All variables of encoder, head and similarity."""
    return (*_encoder_mapping(), *_objective_mapping())


def _encoder_mapping() -> Iterator[Mapped]:
    # Layer 0 normalises the input and has no counterpart.
    for number, layer in enumerate(_layers(), start=1):
        for variable, shape, weight, axes in layer.weights:
            key = f"{ENCODER}/layer_with_weights-{number}/{variable}{VALUE}"
            yield Mapped(key, shape, "encoder", f"network.{layer.name}.{weight}", axes)


def _objective_mapping() -> Iterator[Mapped]:
    vector = (PROJECTION,)
    matrix = (PROJECTION, PROJECTION)
    for key, shape, weight, axes in (
        _Weight(f"{HEAD_LINEAR}/kernel", (TOP, PROJECTION), "head.0.weight", DENSE),
        _Weight(f"{HEAD_LINEAR}/bias", vector, "head.0.bias"),
        _Weight(f"{HEAD_NORM}/gamma", vector, "head.1.weight"),
        _Weight(f"{HEAD_NORM}/beta", vector, "head.1.bias"),
        _Weight(SIMILARITY, matrix, "similarity.weight"),
    ):
        yield Mapped(key + VALUE, shape, "objective", weight, axes)


def _layers() -> Iterator[_Layer]:
    """The layers of EfficientNet-B0 in Keras' order."""
    yield _convolution("conv_stem", 3, 1, STEM)
    yield _batch_norm("bn1", STEM)
    channels = STEM
    for stage, (repeats, kernel, out, expansion) in enumerate(STAGES):
        for repeat in range(repeats):
            yield from _block(f"blocks.{stage}.{repeat}", kernel, channels, out, expansion)
            channels = out
    yield _convolution("conv_head", 1, channels, TOP)
    yield _batch_norm("bn2", TOP)


def _block(name: str, kernel: int, channels: int, out: int, expansion: int) -> Iterator[_Layer]:
    wide = channels * expansion
    norms = iter(("bn1", "bn2", "bn3"))
    if expansion > 1:
        yield _convolution(f"{name}.conv_pw", 1, channels, wide)
        yield _batch_norm(f"{name}.{next(norms)}", wide)
    yield _depthwise(f"{name}.conv_dw", kernel, wide)
    yield _batch_norm(f"{name}.{next(norms)}", wide)
    yield _convolution(f"{name}.se.conv_reduce", 1, wide, channels // SQUEEZE, bias=True)
    yield _convolution(f"{name}.se.conv_expand", 1, channels // SQUEEZE, wide, bias=True)
    yield _convolution(f"{name}.{'conv_pwl' if expansion > 1 else 'conv_pw'}", 1, wide, out)
    yield _batch_norm(f"{name}.{next(norms)}", out)


def _convolution(name: str, kernel: int, channels: int, out: int, *, bias: bool = False) -> _Layer:
    weights = [_Weight("kernel", (kernel, kernel, channels, out), "weight", CONVOLUTION)]
    if bias:
        weights.append(_Weight("bias", (out,), "bias"))
    return _Layer(name, tuple(weights))


def _depthwise(name: str, kernel: int, channels: int) -> _Layer:
    shape = (kernel, kernel, channels, 1)
    return _Layer(name, (_Weight("depthwise_kernel", shape, "weight", DEPTHWISE),))


def _batch_norm(name: str, channels: int) -> _Layer:
    names = {
        "gamma": "weight",
        "beta": "bias",
        "moving_mean": "running_mean",
        "moving_variance": "running_var",
    }
    return _Layer(name, tuple(_Weight(keras, (channels,), ours) for keras, ours in names.items()))
