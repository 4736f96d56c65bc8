"""Loading of trained encoders and building of untrained ones."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from mscol_cli.contracts.augmented import Augmented
from mscol_cli.contracts.encoder import Encoder
from mscol_cli.contracts.objective import Augmentation, Objective, ObjectiveContext
from mscol_cli.engine import references
from mscol_cli.engine.devices import random_state_kept
from mscol_cli.engine.references import FOLDERS, LOGMEL, MINI, REFERENCES, UNTRAINED
from mscol_cli.errors import MissingDataError, UsageError
from mscol_cli.host import Part, Registry, describe_part, find_objective, find_part
from mscol_cli.host.building import build_part
from mscol_cli.host.checks.encoder import validate_encoder
from mscol_cli.host.checks.state import validate_state
from mscol_cli.host.guard import set_label
from mscol_cli.hub.client import download
from mscol_cli.hub.names import is_hub_name, parse_name
from mscol_cli.recipes.options import PartsSettings
from mscol_cli.runs import checkpoint as checkpoints
from mscol_cli.runs.layout import ENCODER, LATEST, OBJECTIVE, RUNS, find_named, latest_run

DEFAULT_ENCODER = PartsSettings.encoder


@dataclass(frozen=True)
class Model:
    """An encoder in eval mode on its device.

    Attributes:
        encoder: The network.
        name: Label in tables: name and step of the run, `mini`, `hf:ORG/NAME@COMMIT`,
            `untrained-<encoder>`, or `logmel`.
        hash: SHA-256 of the weights, for caches.
        step: Number of training steps.
        info: Content of run.json; only the encoder for an untrained model.
        part: The installed encoder, which may have another version than the one in `info`.
        run: Run or checkpoint folder, for results; None for a model that is not the user's own.
        device: Device of the encoder.
        folder: Checkpoint folder; None for an untrained model.
        note: Why this model was chosen, if no model was named; else empty.
    """

    encoder: Encoder
    name: str
    hash: str
    step: int
    info: dict[str, Any]
    part: Part
    run: Path | None
    device: torch.device
    folder: Path | None = None
    note: str = ""

    def describe(self) -> str:
        """One line with checkpoint folder or name, step, the first digits of the hash and, if they
        differ, the installed and the recorded version of an encoder of another package."""
        name = self.name if self.run is None else self.folder
        chosen = f" ({self.note})" if self.note else ""
        line = f"model {name}{chosen}, step {self.step}, hash {self.hash[:12]}"
        entry, recorded = self.part.entry, self.info["encoder"].get("version")
        if entry.is_bundled or recorded in (None, entry.version):
            return line
        return f"{line}; {entry.label} is installed, the model was trained with {recorded}"


def build_encoder(part: Part, seed: int) -> Encoder:
    """Build a freshly initialised encoder; the seed determines the weights.

    Raises:
        PluginError: The encoder breaks its contract.
        PluginCallError: The plugin raised an exception.
    """
    torch.manual_seed(seed)
    encoder: Encoder = build_part(part, Encoder)
    validate_encoder(encoder)
    validate_state(encoder)
    return encoder


def build_objective(parts: Sequence[Part], encoder: Encoder, seed: int) -> Objective:
    """Build an objective for an encoder; the seed determines the weights.

    Args:
        parts: The objective, followed by objectives that are used as augmentations.
        encoder: The encoder to train.
        seed: Random seed of the run.

    Raises:
        PluginError: The plugin built something else, or something that cannot be saved.
        PluginCallError: The plugin raised an exception.
    """
    torch.manual_seed(seed + 1)
    context = ObjectiveContext(
        encoder.dim, encoder.crop_samples, encoder.start_grid, encoder.sample_rate
    )
    first, *rest = parts
    objective: Objective = build_part(first, Objective, context)
    augmentations = [build_part(part, Augmentation, context, augmentation=True) for part in rest]
    for built in (objective, *augmentations):
        validate_state(built)
    if not augmentations:
        return objective
    joined = Augmented(objective, augmentations)
    set_label(joined, " + ".join(part.entry.label for part in parts))
    return joined


def copy_encoder(model: Model) -> Encoder:
    """Build the encoder of a model again, with its weights, in eval mode on its device.

    Unlike a deep copy, this works for encoders with locks, or weights that are computed.

    Raises:
        PluginError, PluginCallError: As for `build_encoder`.
        UsageError: The weights do not fit.
    """
    with random_state_kept(model.device):
        encoder = build_encoder(model.part, seed=0)
    load_weights(encoder, model.encoder.state_dict(), model.name)
    return encoder.eval().to(model.device)


def recorded_encoder(info: Mapping[str, Any], registry: Registry, path: Path | str) -> Part:
    """The encoder recorded in a run.json, with its options.

    Args:
        info: Content of run.json.
        registry: The plugins.
        path: The run or model, for messages.

    Raises:
        UsageError: The plugin is not installed, or does not take the options. Another plugin with
            an encoder of this name does not replace it.
    """
    recorded = info["encoder"]
    registry = registry.as_recorded("encoder", [recorded], path)
    preset = {recorded["name"]: recorded["options"]}
    return find_part(registry, "encoder", recorded["name"], (), preset)


def recorded_objective(info: Mapping[str, Any], registry: Registry, path: Path | str) -> list[Part]:
    """The parts of the objective recorded in a run.json, with their options. As for encoders."""
    recorded = info["objective"]
    registry = registry.as_recorded("objective", recorded["parts"], path)
    preset = {part["name"]: part["options"] for part in recorded["parts"]}
    return find_objective(registry, recorded["name"], (), preset)


def resolve_model(
    model: str | None, encoder: str | None, registry: Registry, device: torch.device
) -> Model:
    """Resolve the options `--model` and `--encoder`.

    Args:
        model: A run folder, a checkpoint folder, the name of a run under `runs/`,
            `hf:ORG/NAME[@REVISION]`, `mini`, `untrained`, `logmel`, or None for `runs/latest` and,
            without a run, `mini`.
        encoder: The encoder of `untrained`; None takes the encoder of the default model, so that
            the two can be compared.
        registry: The plugins.
        device: Device to put the weights on.

    Raises:
        MissingDataError: The model does not exist.
        UsageError: `encoder` with a trained model, a model whose plugin is not installed, or a
            repository that does not hold a model.
    """
    if model == UNTRAINED:
        return _resolve_untrained(encoder, registry, device)
    if encoder is not None:
        raise UsageError("--encoder needs --model untrained; a trained model has its own encoder.")
    if model == LOGMEL:
        return untrained_model(find_part(registry, "encoder", LOGMEL), device)
    if model is None:
        return _load_default(registry, device)
    if model == MINI:
        return _load_published(_bundled(), MINI, registry, device)
    if is_hub_name(model):
        return _load_from_hub(model, registry, device)
    return load_model(Path(model), registry, device, REFERENCES)


def load_model(
    path: Path, registry: Registry, device: torch.device, accepted: str = FOLDERS
) -> Model:
    """Load a run's newest checkpoint, or a checkpoint folder.

    Args:
        path: A run folder, a checkpoint folder, or the name of a run under `runs/`.
        registry: The plugins.
        device: Device to put the weights on.
        accepted: What the caller accepts, for the message if `path` is nothing of it.

    Raises:
        MissingDataError: There is no checkpoint at `path`.
        UsageError: The encoder's plugin is missing, or the weights do not fit.
    """
    return _load(_find_checkpoint(path, accepted), path, registry, device)


def _load(
    checkpoint: checkpoints.Checkpoint, path: Path | str, registry: Registry, device: torch.device
) -> Model:
    """Load a checkpoint; `path` names it in messages."""
    part = recorded_encoder(checkpoint.info, registry, path)
    encoder = build_encoder(part, seed=0)
    load_weights(encoder, checkpoints.read_weights(checkpoint.folder, ENCODER), checkpoint.folder)
    run = checkpoints.run_of(checkpoint.folder)
    return Model(
        encoder=encoder.eval().to(device),
        name=f"{run.name}@{checkpoint.step}",
        hash=checkpoints.weights_hash(checkpoint.folder),
        step=checkpoint.step,
        info=checkpoint.info,
        part=part,
        run=run,
        device=device,
        folder=checkpoint.folder,
    )


def _load_published(
    checkpoint: checkpoints.Checkpoint, name: str, registry: Registry, device: torch.device
) -> Model:
    """Load a checkpoint in a folder that must not get results."""
    return replace(_load(checkpoint, name, registry, device), name=name, run=None)


def _load_from_hub(reference: str, registry: Registry, device: torch.device) -> Model:
    snapshot = download(parse_name(reference))
    try:
        checkpoint = checkpoints.read_checkpoint(snapshot.folder)
    except UsageError as error:
        raise UsageError(f"{snapshot.name} does not hold a model of mscol: {error}") from error
    return _load_published(checkpoint, str(snapshot.name), registry, device)


def _load_default(registry: Registry, device: torch.device) -> Model:
    checkpoint, is_bundled = _find_default()
    if not is_bundled:
        return _load(checkpoint, checkpoint.folder, registry, device)
    model = _load_published(checkpoint, MINI, registry, device)
    return replace(model, note=f"bundled; {RUNS / LATEST} does not exist")


def _find_default() -> tuple[checkpoints.Checkpoint, bool]:
    """The checkpoint of `runs/latest` or, without a run, the bundled one; and which it is."""
    if references.has_bundled() and not (RUNS / LATEST).exists():
        return _bundled(), True
    advice = f"train a model with 'mscol pretrain', or give --model: {REFERENCES}."
    return _find_checkpoint(latest_run(RUNS, advice)), False


def _bundled() -> checkpoints.Checkpoint:
    if not references.has_bundled():
        raise MissingDataError(f"this installation has no model '{MINI}': install mscol again.")
    return checkpoints.read_checkpoint(references.BUNDLED)


def untrained_model(part: Part, device: torch.device, seed: int = 0) -> Model:
    """Build an untrained encoder with the initial weights of a run of the same seed.

    An encoder without weights has its own name, as in `logmel`.
    """
    encoder = build_encoder(part, seed)
    digest = untrained_hash(part, seed)
    info = {"encoder": describe_part(part)}
    name = f"{UNTRAINED}-{part.name}" if any(True for _ in encoder.parameters()) else part.name
    return Model(encoder.eval().to(device), name, digest, 0, info, part, None, device)


def untrained_hash(part: Part, seed: int = 0) -> str:
    """Hash that stands for the initial weights of an encoder, hex."""
    options = sorted(asdict(part.options).items())
    key = f"untrained {part.name} {part.entry.version} {options} {seed}"
    return hashlib.sha256(key.encode()).hexdigest()


def load_weights(
    module: torch.nn.Module, weights: dict[str, torch.Tensor], source: Path | str
) -> None:
    """Load parameters and buffers into a module. Raises UsageError naming those that do not fit."""
    try:
        module.load_state_dict(weights)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:300]
        raise UsageError(f"the weights in {source} do not fit: {reason}") from error


def load_objective(model: Model, registry: Registry) -> Objective:
    """Load the objective of a trained model, in eval mode, on the device of its encoder.

    Raises:
        UsageError: The model has no checkpoint with an objective.
    """
    if model.folder is None or not (model.folder / f"{OBJECTIVE}.safetensors").exists():
        raise UsageError(f"{model.name} has no objective, only an encoder.")
    parts = recorded_objective(model.info, registry, model.name)
    objective = build_objective(parts, model.encoder, seed=0)
    load_weights(objective, checkpoints.read_weights(model.folder, OBJECTIVE), model.folder)
    return objective.eval().to(model.device)


def _find_checkpoint(path: Path, accepted: str = FOLDERS) -> checkpoints.Checkpoint:
    named, path = path, find_named(path) or path
    if not path.is_dir():
        raise MissingDataError(f"{named} is not a model: give {accepted}.")
    if (path / f"{ENCODER}.safetensors").exists():
        return checkpoints.read_checkpoint(path)
    latest = checkpoints.latest_checkpoint(path)
    if latest is None:
        raise MissingDataError(f"{path} has no checkpoint yet: train it with --resume -o {path}.")
    return latest


def _resolve_untrained(encoder: str | None, registry: Registry, device: torch.device) -> Model:
    if encoder is not None:
        return untrained_model(find_part(registry, "encoder", encoder), device)
    try:
        checkpoint, _ = _find_default()
    except MissingDataError:
        return untrained_model(find_part(registry, "encoder", DEFAULT_ENCODER), device)
    info = checkpoint.info
    # The seed of an imported model is unknown.
    seed = info.get("training", {}).get("seed", 0)
    return untrained_model(recorded_encoder(info, registry, checkpoint.folder), device, seed)
