"""Load a model and embed audio with it."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, overload

import numpy as np
import torch
from numpy.typing import NDArray

from mscol._isolation import isolated
from mscol._options import StrPath
from mscol._progress import CallbackProgress, ProgressCallback
from mscol_cli.audio import find_audio
from mscol_cli.audio.resample import resample_array
from mscol_cli.engine.devices import pick_device
from mscol_cli.engine.embedding import (
    Clip,
    ClipEmbedding,
    device_of,
    embed_clips,
    embed_files,
)
from mscol_cli.engine.models import Model as LoadedModel
from mscol_cli.engine.models import resolve_model
from mscol_cli.engine.waveform_encoder import WaveformEncoder
from mscol_cli.engine.waveforms import Waveform, load_waveform
from mscol_cli.errors import BadInputError, UsageError
from mscol_cli.host import load_registry
from mscol_cli.system.outcomes import warn_short

Errors: TypeAlias = Literal["raise", "nan"]
FloatArray: TypeAlias = NDArray[np.float32]
if TYPE_CHECKING:
    WaveformLike: TypeAlias = NDArray[np.floating[Any]] | torch.Tensor

MAX_CHANNELS = 64
"""More channels than this mean that an array is (samples, channels)."""


class Windows(NamedTuple):
    """Vectors of the windows of one clip.

    Attributes:
        vectors: (windows, dim).
        start_s: (windows,) start of each window in seconds.
    """

    vectors: FloatArray
    start_s: NDArray[np.float64]


def load(
    model: StrPath | None = None,
    *,
    encoder: str | None = None,
    device: str = "auto",
) -> Model:
    """Load an encoder, as `--model` and `--encoder` do on the command line.

    Args:
        model: A run folder, a checkpoint folder, the name of a run under `runs/`, `mini`,
            `hf:ORG/NAME[@REVISION]`, `untrained`, or `logmel`; None for `runs/latest`, or `mini` if
            it does not exist.
        encoder: Name of the encoder for `untrained`; None for that of the default model.
        device: `auto` (a GPU if there is one), `cpu`, `cuda` or `cuda:N`.

    Raises:
        MissingDataError: The model does not exist.
        UsageError: An unknown encoder or device, `encoder` with a trained model, or a model whose
            plugin is not installed.
    """
    with isolated():
        name = None if model is None else os.fspath(model)
        return Model(resolve_model(name, encoder, load_registry(), pick_device(device)))


class Model:
    """An encoder that turns audio into vectors; made by `mscol.load`.

    Attributes:
        encoder: The network with its front end, in eval mode: waveforms (batch, samples) to
            vectors (batch, dim), differentiable. `embed` uses it where it is, so
            `model.encoder.to(...)` moves the model.
        name: Name of the run and step, `mini`, the repository at its commit,
            `untrained-<encoder>`, or `logmel`.
        hash: SHA-256 of the weights as loaded, hex.
        step: Number of training steps.
        info: Content of the run's run.json; only the encoder for an untrained model.
        folder: Checkpoint folder; None for an untrained model.
    """

    def __init__(self, loaded: LoadedModel) -> None:
        self.encoder = WaveformEncoder(loaded.encoder).eval()
        self.name, self.hash, self.step = loaded.name, loaded.hash, loaded.step
        self.info: dict[str, Any] = loaded.info
        self.folder = loaded.folder

    @property
    def sample_rate(self) -> int:
        """Sample rate in Hz that audio is converted to."""
        return self.encoder.sample_rate

    @property
    def dim(self) -> int:
        """Dimension of a vector."""
        return self.encoder.dim

    def __repr__(self) -> str:
        return f"<mscol.Model {self.name}, {self.dim} dimensions, hash {self.hash[:12]}>"

    @overload
    def embed(
        self,
        audio: StrPath,
        *,
        windows: Literal[False] = False,
        errors: Errors = "raise",
        progress: ProgressCallback | None = None,
    ) -> FloatArray: ...
    # A str is a sequence of str, but a type checker takes the first overload that fits.
    @overload
    def embed(  # type: ignore[overload-overlap]
        self,
        audio: StrPath,
        *,
        windows: Literal[True],
        errors: Errors = "raise",
        progress: ProgressCallback | None = None,
    ) -> Windows: ...
    @overload
    def embed(
        self,
        audio: Sequence[StrPath],
        *,
        windows: Literal[False] = False,
        errors: Errors = "raise",
        progress: ProgressCallback | None = None,
    ) -> FloatArray: ...
    @overload
    def embed(
        self,
        audio: Sequence[StrPath],
        *,
        windows: Literal[True],
        errors: Errors = "raise",
        progress: ProgressCallback | None = None,
    ) -> list[Windows]: ...
    @overload
    def embed(
        self,
        audio: WaveformLike,
        sample_rate: int,
        *,
        windows: Literal[False] = False,
        errors: Errors = "raise",
        progress: ProgressCallback | None = None,
    ) -> FloatArray: ...
    @overload
    def embed(
        self,
        audio: WaveformLike,
        sample_rate: int,
        *,
        windows: Literal[True],
        errors: Errors = "raise",
        progress: ProgressCallback | None = None,
    ) -> Windows: ...

    def embed(
        self,
        audio: StrPath | Sequence[StrPath] | WaveformLike,
        sample_rate: int | None = None,
        *,
        windows: bool = False,
        errors: Errors = "raise",
        progress: ProgressCallback | None = None,
    ) -> FloatArray | Windows | list[Windows]:
        """Embed a file, files, or a waveform: one vector each, the mean over its windows.

        Args:
            audio: Path of an audio file, paths, or a waveform of floats, (samples,) or (channels,
                samples), as a NumPy array or a tensor. Channels are averaged.
            sample_rate: Sample rate of the waveform in Hz; None for paths.
            windows: Return the vector of every window instead, with its start in seconds.
            errors: `raise` raises the error of the first input, in order, that cannot be used.
                `nan` warns instead, and the input gets a vector of NaN, or no windows, so that row
                i is always input i.
            progress: Called with a `ProgressUpdate` after each input.

        Returns:
            For one file or a waveform (dim,), or with `windows` a `Windows`. For n paths (n, dim),
            or with `windows` a list of n `Windows`.

        Raises:
            MissingDataError: A path does not exist, with `raise`.
            BadInputError: An input cannot be read, or is shorter than a window; names the input.
            UsageError: The arguments contradict each other.
        """
        if errors not in ("raise", "nan"):
            raise UsageError(f"errors is 'raise' or 'nan', not {errors!r}.")
        reports = CallbackProgress(progress)
        paths = _paths(audio, sample_rate)
        if paths and errors == "raise":
            find_audio(paths)
        reports.begin("embedding", 1 if paths is None else len(paths), "clips")
        with closing(self._embed(audio, sample_rate, paths, reports)) as results:
            rows = [self._row(result, windows, errors, reports) for result in results]
        if paths is None or isinstance(audio, (str, os.PathLike)):
            return rows[0]
        if windows:
            return [row for row in rows if isinstance(row, Windows)]
        return np.array(rows, dtype=np.float32).reshape(len(rows), self.dim)

    def _embed(
        self,
        audio: Any,
        sample_rate: int | None,
        paths: Sequence[Path] | None,
        progress: CallbackProgress,
    ) -> Generator[ClipEmbedding | BadInputError, None, None]:
        network = self.encoder.network
        device = device_of(network)
        if paths is not None:

            def decode(path: Path, rate: int) -> Waveform:
                return load_waveform(path, rate, partial(warn_short, progress.warn, str(path)))

            yield from embed_files(network, paths, device=device, decode=decode)
        else:
            try:
                clip = Clip("the waveform", as_mono(audio, sample_rate, self.sample_rate))
            except BadInputError as error:
                yield error
            else:
                yield from embed_clips(network, [clip], device=device)

    def _row(
        self,
        result: ClipEmbedding | BadInputError,
        windows: bool,
        errors: Errors,
        progress: CallbackProgress,
    ) -> FloatArray | Windows:
        if isinstance(result, BadInputError):
            if errors == "raise":
                raise result
            progress.warn(f"skipped {result}")
            result = ClipEmbedding(np.zeros((0, self.dim), np.float32), np.zeros(0))
            mean = np.full(self.dim, np.nan, np.float32)
        else:
            mean = result.windows.mean(axis=0)
        progress.advance()
        return Windows(result.windows, result.start_s) if windows else mean


def _paths(audio: Any, sample_rate: int | None) -> list[Path] | None:
    """The files to embed; None for a waveform. Raises UsageError."""
    if isinstance(audio, (np.ndarray, torch.Tensor)):
        if sample_rate is None:
            raise UsageError("embed(waveform, sample_rate): the sample rate in Hz is missing.")
        return None
    if sample_rate is not None:
        raise UsageError("sample_rate belongs to a waveform; files have their own.")
    paths = [audio] if isinstance(audio, (str, os.PathLike)) else list(audio)
    for path in paths:
        if not isinstance(path, (str, os.PathLike)):
            raise UsageError(
                f"embed takes paths or one waveform (array or tensor), not {type(path).__name__}."
            )
    return [_not_folder(Path(path)) for path in paths]


def _not_folder(path: Path) -> Path:
    if path.is_dir():
        raise UsageError(f"{path} is a folder: pass the paths of its files.")
    return path


def as_mono(audio: Any, source_rate: int | None, target_rate: int) -> FloatArray:
    """Convert a waveform to mono (samples,) float32 at another rate.

    Args:
        audio: Floats, (samples,) or (channels, samples); NumPy array or tensor.
        source_rate: Its sample rate in Hz.
        target_rate: Sample rate of the result in Hz.

    Raises:
        UsageError: The waveform has another shape or type.
        BadInputError: It has samples that are not finite.
    """
    if source_rate is None or source_rate < 1 or int(source_rate) != source_rate:
        raise UsageError(f"a sample rate is a whole number of Hz above 0, not {source_rate}.")
    array = _as_array(audio)
    if array.ndim == 2 and 0 < len(array) <= MAX_CHANNELS:
        array = array.mean(axis=0, dtype=np.float32)
    if array.ndim != 1:
        raise UsageError(
            f"the waveform has shape {array.shape}: pass (samples,) or (channels, samples), at most"
            f" {MAX_CHANNELS} channels."
        )
    if not np.isfinite(array).all():
        raise BadInputError("the waveform has samples that are not finite")
    return resample_array(np.require(array, np.float32, ["C", "W"]), int(source_rate), target_rate)


def _as_array(audio: Any) -> NDArray[np.floating[Any]]:
    if isinstance(audio, torch.Tensor):
        audio = audio.detach().cpu()
        # NumPy has no bfloat16.
        audio = (audio.float() if audio.is_floating_point() else audio).numpy()
    if audio.dtype.kind != "f":
        raise UsageError(
            f"the waveform has type {audio.dtype}: convert it to floats with full scale 1; divide"
            " 16-bit samples by 32768."
        )
    array: NDArray[np.floating[Any]] = audio
    return array
