"""The model of a head: at its recorded place, or named by the user; always checked by its hash."""

from __future__ import annotations

from pathlib import Path

import torch

from mscol_cli.engine.models import Model, load_model, resolve_model, untrained_model
from mscol_cli.engine.references import MINI, UNTRAINED
from mscol_cli.errors import MissingDataError, UsageError
from mscol_cli.host import Registry, find_part
from mscol_cli.hub.names import is_hub_name
from mscol_cli.probe.head import Head, HeadModel, framing_of
from mscol_cli.runs.checkpoint import weights_hash
from mscol_cli.system.files import relative_to_here

DIGITS = 12
"""Digits of a hash in messages."""


def load_head_model(
    head: Head, folder: Path, model: str | None, registry: Registry, device: torch.device
) -> Model:
    """Load the model whose embeddings a head was trained on.

    Args:
        head: The head.
        folder: Folder of the head.
        model: A model reference, as in `engine.models.resolve_model`; None for the recorded model.
        registry: The plugins.
        device: Device to put the weights on.

    Raises:
        UsageError: `model` is another model than that of the head.
        MissingDataError: `model` does not exist, or the recorded model is not at its place.
    """
    recorded = head.record.model
    if model is None:
        return _recorded(recorded, folder, registry, device)
    resolved = resolve_model(model, None, registry, device)
    if resolved.hash != recorded.hash:
        raise UsageError(
            f"the head in {folder} was trained on {describe(recorded.name, recorded.hash)}, not"
            f" on {describe(resolved.name, resolved.hash)}: give --model that model, or probe"
            f" {resolved.name} with --save."
        )
    return _checked(resolved, recorded, folder)


def _recorded(recorded: HeadModel, folder: Path, registry: Registry, device: torch.device) -> Model:
    if recorded.folder is None:
        place = "in mscol"
        found = _by_name(recorded, registry, device)
    else:
        # Links such as runs/latest are followed, so that the model has the name of its run.
        path = relative_to_here((folder / recorded.folder).resolve())
        place = f"at {path}"
        found = _at_place(path, recorded.hash, registry, device)
    if found is None:
        raise MissingDataError(
            f"{describe(recorded.name, recorded.hash)} was not found {place}; the head in {folder}"
            " was trained on it: give its path with --model."
        )
    return _checked(found, recorded, folder)


def _at_place(path: Path, hash_: str, registry: Registry, device: torch.device) -> Model | None:
    """The model in a checkpoint folder, if its weights have this hash."""
    try:
        if weights_hash(path) != hash_:
            return None
    except OSError:
        return None
    return load_model(path, registry, device)


def _by_name(recorded: HeadModel, registry: Registry, device: torch.device) -> Model | None:
    """The bundled model, one of the Hub, or an untrained one, if its weights have the hash."""
    if recorded.name != MINI and not is_hub_name(recorded.name):
        return _rebuilt(recorded, registry, device)
    model = resolve_model(recorded.name, None, registry, device)
    return model if model.hash == recorded.hash else None


def _rebuilt(recorded: HeadModel, registry: Registry, device: torch.device) -> Model | None:
    """An untrained model: with the recorded options, or else as `untrained` is built here."""
    name, options = recorded.encoder["name"], recorded.encoder["options"]
    part = find_part(registry, "encoder", name, (), {name: options})
    model = untrained_model(part, device)
    if model.hash != recorded.hash:
        model = resolve_model(UNTRAINED, None, registry, device)
    return model if model.hash == recorded.hash else None


def _checked(model: Model, recorded: HeadModel, folder: Path) -> Model:
    """The model, unless it cuts or scales audio in another way. Raises UsageError."""
    framing = framing_of(model.encoder)
    if framing != dict(recorded.framing):
        changed = [name for name, value in framing.items() if recorded.framing.get(name) != value]
        raise UsageError(
            f"the head in {folder} was trained with another {', '.join(changed)} of"
            f" {model.name}: probe it again with --save."
        )
    return model


def describe(name: str, hash_: str) -> str:
    """A model in messages, with the first digits of its hash."""
    return f"{name} (hash {hash_[:DIGITS]})"
