"""Initial weights of an encoder from a trained model or from timm: `pretrain --init`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from mscol_cli.contracts.encoder import Encoder
from mscol_cli.contracts.progress import Progress
from mscol_cli.engine.models import Model, load_weights, resolve_model
from mscol_cli.engine.references import LOGMEL, UNTRAINED
from mscol_cli.errors import UsageError
from mscol_cli.host import Registry
from mscol_cli.host.guard import label_of
from mscol_cli.pretrain.timm_weights import timm_weights
from mscol_cli.runs.checkpoint import latest_checkpoint, read_weights
from mscol_cli.runs.layout import INITIAL
from mscol_cli.system.tensors import storable

TIMM = "timm"
SHOWN = 3
"""Names of tensors in a note."""


@dataclass(frozen=True)
class Matching:
    """Which tensors of a source fit an encoder.

    Attributes:
        loaded: Number of tensors loaded.
        missing: Tensors of the encoder that the source lacks.
        unexpected: Tensors of the source that the encoder lacks.
        mismatched: Tensors with another shape in the source.
    """

    loaded: int
    missing: list[str]
    unexpected: list[str]
    mismatched: list[str]

    def describe(self) -> str:
        """Counts, with the first names of those that were not loaded."""
        others = asdict(self)
        parts = [f"{others.pop('loaded')} tensors loaded"]
        parts += [f"{len(names)} {kind}{_listed(names)}" for kind, names in others.items()]
        return ", ".join(parts)


def source_encoder(reference: str, registry: Registry) -> Mapping[str, Any]:
    """Name and options of the encoder of the model `reference`, as in its run.json; empty for
    `timm`."""
    if not reference or reference == TIMM:
        return {}
    recorded: Mapping[str, Any] = _resolve(reference, registry).info["encoder"]
    return recorded


def load_initial(
    encoder: Encoder, reference: str, registry: Registry, progress: Progress
) -> dict[str, Any]:
    """Load the weights of a model, or of timm, into a new encoder.

    Tensors of the same name and shape are loaded; others keep their random initialisation.

    Args:
        encoder: The encoder, on the CPU.
        reference: A model as for `--model`, or `timm`.
        registry: The plugins.
        progress: Receives a note with the counts.

    Returns:
        Description of the weights for run.json.

    Raises:
        UsageError: No tensor fits, or the reference cannot be used.
        MissingDataError: The weights are missing.
    """
    if reference == TIMM:
        name, digest, tensors = timm_weights(encoder)
        source: dict[str, Any] = {}
    else:
        model = _resolve(reference, registry)
        name, digest, tensors = model.name, model.hash, model.encoder.state_dict()
        source = _describe_source(model)
    matching = load_matching(encoder, tensors)
    if not matching.loaded:
        other = source.get("encoder", {}).get("name", name)
        raise UsageError(
            f"--init {reference}: none of its {len(tensors)} tensors fits {label_of(encoder)}; the"
            f" encoder of the model is {other}: use --encoder {other}."
        )
    progress.note(f"initial weights {name}, hash {digest[:12]}: {matching.describe()}")
    return {"reference": reference, "model": name, "hash": digest, **asdict(matching), **source}


def load_matching(encoder: Encoder, tensors: Mapping[str, Tensor]) -> Matching:
    """Load those of the tensors whose name and shape the encoder has."""
    own = encoder.state_dict()
    shared = [name for name in own if name in tensors]
    fitting = [name for name in shared if own[name].shape == tensors[name].shape]
    encoder.load_state_dict({name: tensors[name] for name in fitting}, strict=False)
    return Matching(
        len(fitting),
        [name for name in own if name not in tensors],
        [name for name in tensors if name not in own],
        [name for name in shared if name not in fitting],
    )


def initial_file(encoder: Encoder) -> bytes:
    """Content of `RUN/init.safetensors`, from which all processes of a run start."""
    return save(storable(encoder.state_dict()))


def restore_initial(encoder: Encoder, run: Path, info: Mapping[str, Any]) -> None:
    """Load a run's `init.safetensors`, if it has initial weights and no checkpoint yet.

    Raises:
        MissingDataError: The file is missing.
        UsageError: The file is damaged.
    """
    if "init" in info and latest_checkpoint(run) is None:
        load_weights(encoder, read_weights(run, INITIAL), run)


def _resolve(reference: str, registry: Registry) -> Model:
    if reference in (UNTRAINED, LOGMEL):
        raise UsageError(f"--init needs trained weights, and {reference} has none: omit --init.")
    return resolve_model(reference, None, registry, torch.device("cpu"))


def _describe_source(model: Model) -> dict[str, Any]:
    """How the source was trained, for the provenance of the new weights."""
    kept = ("encoder", "objective", "store", "train_split", "imported", "init")
    described = {name: model.info[name] for name in kept if name in model.info}
    run = {"run": str(model.run.resolve())} if model.run else {}
    return {"step": model.step, **run, **described}


def _listed(names: list[str]) -> str:
    if not names:
        return ""
    return f" ({', '.join(names[:SHOWN])}{', ...' if len(names) > SHOWN else ''})"
