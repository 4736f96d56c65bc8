"""TensorFlow's checkpoint format, written from its description: no TensorFlow, no reader of ours.

An `.index` file is a sorted table of protocol buffer messages, a `.data` file the variables' bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
from numpy.typing import NDArray
from torch import nn

Variables = Mapping[str, NDArray[Any] | bytes]

VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
NETWORK = "embedding_model/layer_with_weights-0/layer_with_weights"
DTYPES = {"float32": 1, "float64": 2, "int64": 9}
RESTART_INTERVAL = 16


@dataclass
class Layout:
    """How to write an index; the defaults are TensorFlow's, but for smaller blocks.

    Attributes:
        block_bytes: A block of at least this size is closed.
        compression: The byte that names each block's compression.
        header: Fields of the header message, by number.
        sliced: Variables whose entries say that they are partitioned.
    """

    block_bytes: int = 1024
    compression: int = 0
    header: dict[int, int] = field(default_factory=lambda: {1: 1})
    sliced: frozenset[str] = frozenset()


def write_checkpoint(prefix: Path, variables: Variables, layout: Layout | None = None) -> Path:
    """Write `PREFIX.index` and `PREFIX.data-00000-of-00001`; bytes are written as a string."""
    layout = layout or Layout()
    prefix.parent.mkdir(parents=True, exist_ok=True)
    entries, data = [(b"", _header(layout))], bytearray()
    for name in sorted(variables, key=str.encode):
        stored = variables[name]
        content = stored if isinstance(stored, bytes) else stored.tobytes()
        entry = _entry(stored, len(data), content, name in layout.sliced)
        entries.append((name.encode(), entry))
        data += content
    _beside(prefix, ".data-00000-of-00001").write_bytes(data)
    index = _beside(prefix, ".index")
    index.write_bytes(table(entries, layout))
    return index


def write_state(folder: Path, newest: str) -> None:
    """Write the text file in which TensorFlow notes the newest checkpoint."""
    text = f'model_checkpoint_path: "{newest}"\nall_model_checkpoint_paths: "checkpoint-1"\n'
    (folder / "checkpoint").write_text(text)


def table(entries: Iterable[tuple[bytes, bytes]], layout: Layout) -> bytes:
    """A sorted table of entries that come in order."""
    written, handles, pending = bytearray(), [], list[tuple[bytes, bytes]]()
    for entry in entries:
        pending.append(entry)
        if len(_block(pending)) >= layout.block_bytes:
            handles.append((pending[-1][0], _append(written, _block(pending), layout)))
            pending = []
    if pending:
        handles.append((pending[-1][0], _append(written, _block(pending), layout)))
    metaindex = _append(written, _block([]), layout)
    index = _append(written, _block(handles, interval=1), layout)
    footer = (metaindex + index).ljust(40, b"\0")
    return bytes(written + footer + struct.pack("<Q", 0xDB4775248B80FB57))


def _append(written: bytearray, block: bytes, layout: Layout) -> bytes:
    """Add a block with its trailer, and return its handle."""
    handle = varint(len(written)) + varint(len(block))
    typed = block + bytes([layout.compression])
    written += typed + struct.pack("<I", masked(typed))
    return handle


def _block(entries: list[tuple[bytes, bytes]], interval: int = RESTART_INTERVAL) -> bytes:
    out, restarts, last = bytearray(), [0], b""
    for number, (key, value) in enumerate(entries):
        shared = 0
        if number % interval:
            while shared < min(len(key), len(last)) and key[shared] == last[shared]:
                shared += 1
        elif number:
            restarts.append(len(out))
        out += varint(shared) + varint(len(key) - shared) + varint(len(value))
        out += key[shared:] + value
        last = key
    return bytes(out) + struct.pack(f"<{len(restarts) + 1}I", *restarts, len(restarts))


def _header(layout: Layout) -> bytes:
    written = b"".join(_number(number, value) for number, value in layout.header.items())
    return written + _nested(3, _number(1, 1))


def _entry(stored: NDArray[Any] | bytes, offset: int, content: bytes, sliced: bool) -> bytes:
    shape = () if isinstance(stored, bytes) else stored.shape
    dtype = 7 if isinstance(stored, bytes) else DTYPES[str(stored.dtype)]
    dimensions = b"".join(_nested(2, _number(1, size)) for size in shape)
    message = _number(1, dtype) + _nested(2, dimensions) + _number(4, offset)
    message += _number(5, len(content)) + bytes([6 << 3 | 5]) + struct.pack("<I", masked(content))
    return message + (_nested(7, b"") if sliced else b"")


def _number(field_number: int, value: int) -> bytes:
    return bytes([field_number << 3]) + varint(value)


def _nested(field_number: int, message: bytes) -> bytes:
    return bytes([field_number << 3 | 2]) + varint(len(message)) + message


def varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def masked(data: bytes) -> int:
    """The CRC-32C as it is stored."""
    crc: int = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17 & 0xFFFFFFFF) + 0xA282EAD8) % (1 << 32)


def _beside(prefix: Path, suffix: str) -> Path:
    return prefix.with_name(prefix.name + suffix)


def published_variables(encoder: nn.Module, objective: Any, step: int) -> dict[str, Any]:
    """The variables of a model as the paper's authors saved them, optimiser and all.

    Layers are numbered in the order in which the torch modules were made, which is Keras' order.
    """
    head, norm = objective.head[0], objective.head[1]
    trained = {
        **dict(_network_variables(encoder)),
        "embedding_model/layer_with_weights-1/kernel": _array(head.weight).T,
        "embedding_model/layer_with_weights-1/bias": _array(head.bias),
        "embedding_model/layer_with_weights-2/gamma": _array(norm.weight),
        "embedding_model/layer_with_weights-2/beta": _array(norm.bias),
        "_similarity_layer/bilinear_product_weight": _array(objective.similarity.weight),
    }
    slots = {
        f"{name}/.OPTIMIZER_SLOT/optimizer/{slot}": np.zeros_like(value)
        for name, value in trained.items()
        if "moving" not in name and value.size <= 1280
        for slot in ("m", "v")
    }
    untrained = {
        f"{NETWORK}-0/mean": np.zeros(1, np.float32),
        f"{NETWORK}-0/variance": np.ones(1, np.float32),
        f"{NETWORK}-0/count": np.array(0),
        "optimizer/iter": np.array(step),
        "optimizer/beta_1": np.array(0.9, np.float32),
        "save_counter": np.array(10),
    }
    named = {name + VALUE: value for name, value in (trained | slots | untrained).items()}
    return {**named, "_CHECKPOINTABLE_OBJECT_GRAPH": b"a message that nobody reads here"}


def _network_variables(encoder: nn.Module) -> Iterator[tuple[str, NDArray[Any]]]:
    layers = (m for m in encoder.modules() if isinstance(m, (nn.Conv2d, nn.BatchNorm2d)))
    for number, layer in enumerate(layers, start=1):
        for name, value in _layer_variables(layer):
            yield f"{NETWORK}-{number}/{name}", value


def _layer_variables(layer: nn.Conv2d | nn.BatchNorm2d) -> Iterator[tuple[str, NDArray[Any]]]:
    if isinstance(layer, nn.BatchNorm2d):
        yield "gamma", _array(layer.weight)
        yield "beta", _array(layer.bias)
        yield "moving_mean", _array(layer.running_mean)
        yield "moving_variance", _array(layer.running_var)
        return
    depthwise = layer.groups > 1
    axes = (2, 3, 0, 1) if depthwise else (2, 3, 1, 0)
    yield "depthwise_kernel" if depthwise else "kernel", _array(layer.weight).transpose(axes)
    if layer.bias is not None:
        yield "bias", _array(layer.bias)


def _array(tensor: Any) -> NDArray[Any]:
    array: NDArray[Any] = tensor.detach().numpy()
    return array
