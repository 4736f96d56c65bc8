"""Export to ONNX and to torch.export, in memory, with a function that runs the result."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from importlib.util import find_spec
from io import BytesIO, StringIO
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch.export import ExportedProgram
from torch.fx.experimental import _config as symbolic_shapes

from mscol_cli.contracts.encoder import Encoder
from mscol_cli.errors import MscolError, UsageError
from mscol_cli.export.clip_encoder import ClipEncoder, Pool
from mscol_cli.host.guard import label_of
from mscol_cli.system.text import first_line

Format = Literal["onnx", "torch"]
SUFFIXES: Mapping[Format, str] = {"onnx": ".onnx", "torch": ".pt2"}
NEEDED: Mapping[Format, tuple[str, ...]] = {
    "onnx": ("onnx", "onnxscript", "onnxruntime"),
    "torch": (),
}
INPUT, OUTPUT = "waveform", "vectors"
METADATA_FILE = "mscol.json"
"""Extra file with the metadata in a .pt2 archive."""

Run = Callable[[NDArray[np.float32]], NDArray[np.float32]]


@dataclass(frozen=True)
class Exported:
    """An exported model in memory.

    Attributes:
        run: Maps clips (batch, samples) to vectors, with the exported model.
        content: Maps metadata to the content of the file.
    """

    run: Run
    content: Callable[[Mapping[str, str]], bytes]


def check_packages(format: Format) -> None:
    """Raise UsageError if packages that a format needs are not installed."""
    missing = [name for name in NEEDED[format] if find_spec(name) is None]
    if missing:
        raise UsageError(
            f"--format {format} needs {', '.join(missing)}: pip install 'mscol[onnx]'."
        )


def export(encoder: Encoder, pool: Pool, format: Format) -> Exported:
    """Export an encoder in eval mode, on the CPU.

    Raises:
        MscolError: The encoder uses operations that cannot be exported.
    """
    module = ClipEncoder(encoder, pool, spare_window=format == "torch").eval()
    with exportable(encoder, format), _quiet():
        program = _trace(module)
        return _to_onnx(program) if format == "onnx" else _to_torch(program)


@contextmanager
def exportable(encoder: Encoder, format: Format) -> Iterator[None]:
    """Raise MscolError if an encoder cannot be exported, or its exported model cannot be run."""
    try:
        yield
    # The exporters and runtimes raise exceptions of many kinds, also those of the encoder's code.
    except Exception as error:
        raise MscolError(
            f"{label_of(encoder)} cannot be exported to {format} ({_reason(error)}): its front end"
            " and forward must be operations that torch.export can trace for every batch size."
        ) from error


def _trace(module: ClipEncoder) -> ExportedProgram:
    clips = torch.zeros(3, module.window + 2 * module.hop)
    dynamic = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    # Batches of one clip, and clips of one window, are valid.
    with torch.no_grad(), symbolic_shapes.patch(backed_size_oblivious=True):  # type: ignore[attr-defined]
        return torch.export.export(module, (clips,), dynamic_shapes=(dynamic,))


def _to_onnx(program: ExportedProgram) -> Exported:
    import onnxruntime

    exported = torch.onnx.export(program, dynamo=True, verbose=False)
    if exported is None:
        raise RuntimeError("torch.onnx.export returned nothing")
    model = exported.model_proto
    _name_interface(model)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )

    def run(clips: NDArray[np.float32]) -> NDArray[np.float32]:
        vectors: NDArray[np.float32] = session.run([OUTPUT], {INPUT: clips})[0]
        return vectors

    def content(metadata: Mapping[str, str]) -> bytes:
        for name, value in metadata.items():
            model.metadata_props.add(key=name, value=value)
        serialised: bytes = model.SerializeToString()
        return serialised

    return Exported(run, content)


def _name_interface(model: Any) -> None:
    """Name input, output and dynamic dimensions of an ONNX model; traces number them."""
    (source,), (target,) = model.graph.input, model.graph.output
    names = {source.name: INPUT, target.name: OUTPUT}
    for node in model.graph.node:
        for index, name in enumerate(node.input):
            node.input[index] = names.get(name, name)
        for index, name in enumerate(node.output):
            node.output[index] = names.get(name, name)
    source.name, target.name = INPUT, OUTPUT
    for value, axes in ((source, ("batch", "samples")), (target, ("batch", "windows", "dim"))):
        for dim, axis in zip(value.type.tensor_type.shape.dim, axes, strict=False):
            if dim.dim_param:
                dim.dim_param = axis


def _to_torch(program: ExportedProgram) -> Exported:
    module = program.module()

    def run(clips: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.no_grad():
            vectors: NDArray[np.float32] = module(torch.from_numpy(clips)).numpy()
        return vectors

    def content(metadata: Mapping[str, str]) -> bytes:
        buffer = BytesIO()
        text = json.dumps(metadata, indent=2)
        with _quiet():
            torch.export.save(program, buffer, extra_files={METADATA_FILE: text})
        return buffer.getvalue()

    return Exported(run, content)


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress warnings, log lines and traces that the exporters print about their own code."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _reason(error: BaseException) -> str:
    """Class and first line of the first cause of an exception, at most 200 characters."""
    while error.__cause__ is not None:
        error = error.__cause__
    name, line = type(error).__name__, first_line(error)
    return name if line == name else f"{name}: {line[:200]}"
