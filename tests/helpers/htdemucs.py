"""A tiny ONNX file with the inputs and outputs of an HTDemucs, whose answer is known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mscol_htdemucs.spectrogram import BINS, FRAMES, SEGMENT

GAINS = (0.4, 0.3, 0.2, 0.1)
NOTHING = (0.0, 0.0, 0.0, 0.0)
LOCATIONS = {"beside": "weights.bin", "above": "../../etc/passwd", "absolute": "/etc/passwd"}
SIZES = {"huge": 1 << 40, "negative": -1}
LIES = (*LOCATIONS, *SIZES, "terabytes at work", "not a number")


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


def write_lying(path: Path, lie: str) -> Path:
    """Write a network whose weights are in another file, or of a size that does not exist, or that
    needs terabytes when it runs, or that answers with no numbers."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    network = onnx.load(write_model(path))
    graph, gains = network.graph, network.graph.initializer[1]
    if lie in LOCATIONS:
        gains.ClearField("raw_data")
        gains.data_location = TensorProto.EXTERNAL
        for key, value in (("location", LOCATIONS[lie]), ("offset", "0"), ("length", "16")):
            gains.external_data.add(key=key, value=value)
        (path.parent / "weights.bin").write_bytes(np.array(GAINS, np.float32).tobytes())
    elif lie in SIZES:
        gains.dims[0] = SIZES[lie]
    elif lie == "not a number":
        values = numpy_helper.to_array(gains) * np.float32(np.nan)
        gains.CopyFrom(numpy_helper.from_array(values, gains.name))
    else:
        last = next(node for node in graph.node if "in_time" in node.output)
        last.output[0] = "sound"
        size = numpy_helper.from_array(np.array([1 << 21, 1 << 21]), "size")
        graph.initializer.append(size)
        graph.node.extend(
            [
                helper.make_node("ConstantOfShape", ["size"], ["terabytes"]),
                helper.make_node("ReduceSum", ["terabytes"], ["sum"], keepdims=0),
                helper.make_node("Add", ["sound", "sum"], ["in_time"]),
            ]
        )
    path.write_bytes(network.SerializeToString())
    return path
