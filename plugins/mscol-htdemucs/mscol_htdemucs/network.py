"""Open, check and run the ONNX file of a network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mscol_cli.api import MissingDataError, UsageError
from mscol_htdemucs.spectrogram import BINS, FRAMES, SEGMENT

SOURCES = ("drums", "bass", "other", "vocals")
"""In the order of the network's outputs."""

CHANNELS = 2
INPUTS = ((1, CHANNELS, SEGMENT), (1, 2 * CHANNELS, BINS, FRAMES))
OUTPUTS = (
    (1, len(SOURCES), 2 * CHANNELS, BINS, FRAMES),
    (1, len(SOURCES), CHANNELS, SEGMENT),
)


class Network:
    """A Hybrid Transformer Demucs of four sources, without its Fourier transforms."""

    def __init__(self, path: Path, device: str) -> None:
        """Open a file.

        Args:
            path: The ONNX file.
            device: Torch device name. A GPU is used if onnxruntime supports it.

        Raises:
            MissingDataError: The file does not exist.
            UsageError: The file is not ONNX or another network, or onnxruntime is not installed.
        """
        if not path.exists():
            raise MissingDataError(
                f"{path}: no such file; choose an HTDemucs ONNX file with --model"
            )
        self._session = _open(path, device)
        self._inputs = _names_of(INPUTS, self._session.get_inputs(), "inputs", path)
        self._outputs = _names_of(OUTPUTS, self._session.get_outputs(), "outputs", path)

    def __call__(self, waveform: Tensor, spectrogram: Tensor) -> tuple[Tensor, Tensor]:
        """Run the network on one segment.

        Args:
            waveform: (2, SEGMENT) at 44.1 kHz.
            spectrogram: (4, BINS, FRAMES), see `to_spectrogram`.

        Returns:
            Spectrograms (sources, 4, BINS, FRAMES) and waveforms (sources, 2, SEGMENT) of the two
            branches of the network, whose sum is the estimate.
        """
        values = (waveform[None].numpy(), spectrogram[None].numpy())
        feeds = dict(zip(self._inputs, values, strict=True))
        spectrograms, waveforms = self._session.run(self._outputs, feeds)
        return torch.from_numpy(spectrograms[0]), torch.from_numpy(waveforms[0])


def providers(device: str, available: Sequence[str]) -> list[Any]:
    """Execution providers for onnxruntime, in order of preference.

    Args:
        device: Torch device name.
        available: Providers that this onnxruntime supports.
    """
    kind, _, number = device.partition(":")
    cuda = [("CUDAExecutionProvider", {"device_id": int(number or 0)})]
    usable = cuda if kind == "cuda" and "CUDAExecutionProvider" in available else []
    return [*usable, "CPUExecutionProvider"]


def _open(path: Path, device: str) -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise UsageError(
            "separator 'htdemucs' needs onnxruntime: pip install onnxruntime, or onnxruntime-gpu"
        ) from None
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = torch.get_num_threads()
    settings.enable_cpu_mem_arena = False  # doubles the memory without saving time
    settings.log_severity_level = 4  # errors are raised as exceptions
    usable = providers(device, onnxruntime.get_available_providers())
    try:
        # From bytes, onnxruntime reads no other file: the hash of this one identifies the network.
        return onnxruntime.InferenceSession(path.read_bytes(), settings, providers=usable)
    except Exception as error:  # its exceptions have no common base class
        reason = " ".join(str(error).split())[:160]
        raise UsageError(
            f"{path} is not a readable ONNX file that holds its weights ({reason})"
        ) from None


def _names_of(
    shapes: Sequence[tuple[int, ...]], nodes: Sequence[Any], what: str, path: Path
) -> list[str]:
    """Names of inputs or outputs by shape, as names depend on the exporter."""
    name_of = {tuple(node.shape): node.name for node in nodes if node.type == "tensor(float)"}
    if len(nodes) != len(shapes) or set(name_of) != set(shapes):
        actual = ", ".join(f"{node.name} {_shape(node.shape)} {node.type}" for node in nodes)
        expected = " and ".join(_shape(shape) for shape in shapes)
        raise UsageError(
            f"{path} is not an HTDemucs of four sources: its {what} are {actual}; expected are"
            f" {expected}, all tensor(float)."
        )
    return [name_of[shape] for shape in shapes]


def _shape(shape: Sequence[Any]) -> str:
    return f"({', '.join(str(size) for size in shape)})"
