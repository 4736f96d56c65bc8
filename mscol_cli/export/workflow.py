"""export: model -> clip encoder -> exported model -> comparison with torch -> file."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mscol_cli import __version__
from mscol_cli.contracts.encoder import Encoder
from mscol_cli.contracts.progress import Progress
from mscol_cli.engine.devices import pick_device
from mscol_cli.engine.embedding import embed_clip
from mscol_cli.engine.models import Model, resolve_model
from mscol_cli.errors import MscolError, UsageError
from mscol_cli.export.clip_encoder import POOLS, Pool
from mscol_cli.export.formats import SUFFIXES, Exported, Format, check_packages, export, exportable
from mscol_cli.export.request import ExportRequest
from mscol_cli.host import load_registry
from mscol_cli.system.files import write_bytes
from mscol_cli.system.outcomes import writing

BOUND = 1e-3
"""Largest relative difference from torch of a model that is written."""


@dataclass(frozen=True)
class ExportResult:
    """Result of `mscol export`.

    Attributes:
        output: The file.
        format: `onnx` or `torch`.
        model: Name of the model.
        model_hash: SHA-256 of its weights.
        encoder: Name of the encoder.
        dim: Size of a vector.
        difference: Largest relative difference from torch: the L2 norm of the difference of two
            vectors, divided by that of torch's vector.
        bytes: Size of the file.
        seconds: Elapsed time.
    """

    output: Path
    format: str
    model: str
    model_hash: str
    encoder: str
    dim: int
    difference: float
    bytes: int
    seconds: float


def run(request: ExportRequest, progress: Progress) -> ExportResult:
    """Export a model, compare it with torch, and write it.

    Raises:
        UsageError: An option is invalid, or packages are not installed.
        MissingDataError: The model does not exist.
        MscolError: The encoder cannot be exported, the exported model differs from torch, or the
            file cannot be written. Nothing is written.
    """
    begun = time.monotonic()
    output, format = _resolve_output(request)
    pool = _resolve_pool(request.pool)
    check_packages(format)
    registry = load_registry()
    model = resolve_model(request.model, request.encoder, registry, pick_device("cpu"))
    progress.note(model.describe())
    exported = export(model.encoder, pool, format)
    difference = _compare(model.encoder, exported, pool, format)
    if not difference <= BOUND:
        raise MscolError(
            f"the exported model differs from torch by {difference:.1e}, more than {BOUND:.0e}:"
            f" {output} was not written."
        )
    metadata = _describe(model, pool, request.encoder, difference)
    content = exported.content(metadata)
    with writing(output):
        write_bytes(output, content)
    return ExportResult(
        output=output,
        format=format,
        model=model.name,
        model_hash=model.hash,
        encoder=metadata["encoder"],
        dim=model.encoder.dim,
        difference=difference,
        bytes=len(content),
        seconds=round(time.monotonic() - begun, 2),
    )


def _resolve_output(request: ExportRequest) -> tuple[Path, Format]:
    by_suffix = {suffix: format for format, suffix in SUFFIXES.items()}
    by_name = {str(format): format for format in SUFFIXES}
    if request.format is not None and request.format not in by_name:
        raise UsageError(f"--format is '{request.format}': use {', '.join(by_name)}.")
    wanted = by_name[request.format] if request.format else None
    if request.output is None:
        format = wanted or "onnx"
        return Path(f"model{SUFFIXES[format]}"), format
    format_of_suffix = by_suffix.get(request.output.suffix.lower())
    if format_of_suffix is None or wanted not in (None, format_of_suffix):
        allowed = SUFFIXES[wanted] if wanted else " or ".join(by_suffix)
        raise UsageError(f"{request.output} must end in {allowed}.")
    if request.output.is_dir():
        raise UsageError(f"{request.output} is a folder: name a file with -o.")
    return request.output, format_of_suffix


def _resolve_pool(name: str) -> Pool:
    for pool in POOLS:
        if name == pool:
            return pool
    raise UsageError(f"--pool is '{name}': use {', '.join(POOLS)}.")


def _compare(encoder: Encoder, exported: Exported, pool: Pool, format: Format) -> float:
    """Largest relative difference between `mscol embed` and the exported model."""
    largest = 0.0
    for clips in _test_clips(encoder):
        windows = np.stack([embed_clip(encoder, clip).windows for clip in clips])
        expected = windows.mean(axis=1) if pool == "mean" else windows
        with exportable(encoder, format):
            vectors = exported.run(clips)
        if vectors.shape != expected.shape:
            raise MscolError(
                f"the exported model returns {vectors.shape}, not {expected.shape}, for clips"
                f" {clips.shape}: nothing was written."
            )
        error = np.linalg.norm((vectors - expected).astype(np.float64), axis=-1)
        scale = np.linalg.norm(expected.astype(np.float64), axis=-1)
        largest = float(np.maximum(largest, (error / np.maximum(scale, 1e-12)).max()))
    return largest


def _test_clips(encoder: Encoder) -> Iterator[NDArray[np.float32]]:
    """Clips (batch, samples) of noise, a chord with silence, a quiet click, very faint noise and
    silence, for each shape that users may choose: one or more clips, of one or more windows, with
    and without a rest."""
    rng = np.random.default_rng(0)
    window, hop = encoder.crop_samples, encoder.window_hop
    for samples in (window, window + hop + hop // 3, window + 3 * hop):
        seconds = np.arange(samples) / encoder.sample_rate
        noise = 0.1 * rng.standard_normal(samples)
        chord = sum(np.sin(2 * np.pi * hertz * seconds) for hertz in (110.0, 277.18, 440.0, 2637.0))
        chord = 0.2 * chord * (seconds % 0.7 < 0.4)
        click = 1e-3 * np.exp(-80 * seconds) * rng.standard_normal(samples)
        faint, silence = 1e-11 * noise, np.zeros(samples)
        clips = np.stack([noise, chord, click, faint, silence]).astype(np.float32)
        yield clips
        yield clips[:1]


def _describe(model: Model, pool: Pool, encoder: str | None, difference: float) -> dict[str, str]:
    """Metadata in the exported file, as text by name."""
    network = model.encoder
    recorded = model.info.get("encoder", {})
    return {
        "mscol": __version__,
        "model": model.name,
        "model_hash": model.hash,
        "step": str(model.step),
        "encoder": str(recorded.get("name") or encoder or model.name.partition("-")[2]),
        "encoder_options": json.dumps(recorded.get("options", {})),
        "sample_rate": str(network.sample_rate),
        "window_samples": str(network.crop_samples),
        "window_hop": str(network.window_hop),
        "level": network.level,
        "level_inside": "true",
        "pool": pool,
        "dim": str(network.dim),
        "difference_from_torch": f"{difference:.2e}",
    }
