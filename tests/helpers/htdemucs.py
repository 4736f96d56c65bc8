"""A tiny ONNX file with the inputs and outputs of an HTDemucs, whose answer is known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mscol_htdemucs.spectrogram import BINS, FRAMES, SEGMENT

GAINS = (0.4, 0.3, 0.2, 0.1)
NOTHING = (0.0, 0.0, 0.0, 0.0)


def write_model(
    path: Path,
    spectrogram: Sequence[float] = GAINS,
    waveform: Sequence[float] = NOTHING,
    *,
    segment: int = SEGMENT,
) -> Path:
    """Write a network that gives each source its share of the mix.

    Args:
        path: Where to write it.
        spectrogram: What each source's spectrogram is, times the mix's.
        waveform: What each source's waveform is, times the mix's.
        segment: Samples it hears at a time; another number makes another network.
    """
    from onnx import helper, numpy_helper, save

    heard, seen = [1, 2, segment], [1, 4, BINS, FRAMES]
    nodes, constants = _scaled("heard", "in_time", waveform, 4)
    more_nodes, more_constants = _scaled("seen", "in_frequency", spectrogram, 5)
    graph = helper.make_graph(
        [*nodes, *more_nodes],
        "shares",
        [_floats("heard", heard), _floats("seen", seen)],
        [
            _floats("in_frequency", [1, len(spectrogram), *seen[1:]]),
            _floats("in_time", [1, len(waveform), *heard[1:]]),
        ],
        [
            numpy_helper.from_array(value, name)
            for name, value in (constants | more_constants).items()
        ],
    )
    opset = [helper.make_opsetid("", 17)]
    save(helper.make_model(graph, ir_version=8, opset_imports=opset), path)
    return path


def _scaled(
    source: str, result: str, gains: Sequence[float], rank: int
) -> tuple[list[Any], dict[str, Any]]:
    """Nodes and constants that make (1, ...) to (1, gains, ...)."""
    from onnx import helper

    shape = (1, len(gains), *[1] * (rank - 2))
    constants = {
        f"{result}_axis": np.array([1]),
        f"{result}_gains": np.array(gains, np.float32).reshape(shape),
    }
    nodes = [
        helper.make_node("Unsqueeze", [source, f"{result}_axis"], [f"{result}_one"]),
        helper.make_node("Mul", [f"{result}_one", f"{result}_gains"], [result]),
    ]
    return nodes, constants


def _floats(name: str, shape: Sequence[int]) -> Any:
    from onnx import TensorProto, helper

    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
