"""import: foreign checkpoint -> importer -> encoder and objective -> model folder."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mscol_cli.contracts.importer import ImportedModel, ImportedPart, Importer
from mscol_cli.contracts.progress import Progress
from mscol_cli.engine.models import build_encoder, build_objective
from mscol_cli.errors import BadInputError, MissingDataError, MscolError, UsageError
from mscol_cli.host import (
    Entry,
    Part,
    Registry,
    describe_part,
    find_objective,
    find_part,
    load_registry,
)
from mscol_cli.host.building import build_part
from mscol_cli.host.checks.importer import claims_checkpoint, read_checkpoint
from mscol_cli.host.guard import label_of, plugin_call
from mscol_cli.host.options import make_options
from mscol_cli.importing.request import ImportRequest
from mscol_cli.pretrain.settings import describe_objective, describe_software
from mscol_cli.runs.checkpoint import refuse_occupied, save_model
from mscol_cli.system.files import file_hash
from mscol_cli.system.outcomes import writing


@dataclass(frozen=True)
class ImportResult:
    """Result of `mscol import`.

    Attributes:
        model: The model folder.
        format: Name of the importer.
        encoder: Name of the encoder.
        objective: Name of the objective.
        step: Number of training steps, as recorded in the checkpoint.
        mapped: Number of variables that became weights.
        left_out: Number of other variables, by kind.
        seconds: Elapsed time.
    """

    model: Path
    format: str
    encoder: str
    objective: str
    step: int
    mapped: int
    left_out: Mapping[str, int]
    seconds: float


def run(request: ImportRequest, progress: Progress) -> ImportResult:
    """Read a foreign checkpoint, check that its weights fit, and write a model folder.

    Raises:
        UsageError: The output is not empty, no importer or several recognise the checkpoint, or its
            encoder or objective is not installed.
        MissingDataError: The checkpoint, or a file it needs, does not exist.
        BadInputError: The checkpoint is damaged, or has another format.
        MscolError: The output cannot be written.
    """
    begun = time.monotonic()
    refuse_occupied(request.output)
    registry = load_registry()
    importer = find_part(
        registry, "importer", _choose(request, registry, progress), request.options
    )
    progress.begin(f"importing {request.checkpoint}", None, "files")
    model = read_checkpoint(_importer(importer), request.checkpoint)
    where = f"{importer.entry.label}: {request.checkpoint}"
    parts, weights = _build(model, registry, where)
    info = {**describe_software(), **parts, "imported": _provenance(model, importer)}
    with writing(request.output):
        save_model(request.output, model.step, info, weights)
    progress.end()
    return ImportResult(
        model=request.output,
        format=importer.name,
        encoder=model.encoder.name,
        objective=model.objective.name,
        step=model.step,
        mapped=model.mapped,
        left_out=dict(model.left_out),
        seconds=round(time.monotonic() - begun, 2),
    )


def _choose(request: ImportRequest, registry: Registry, progress: Progress) -> str:
    """Name of the importer."""
    if request.format is not None:
        return request.format
    path, known = request.checkpoint, registry.of_kind("importer")
    names = sorted({entry.card.name for entry in known if _claims(entry, path, progress)})
    if len(names) == 1:
        return names[0]
    if names:
        raise UsageError(f"{path} can be read as {' and '.join(names)}: choose with --format.")
    if not path.exists():
        raise MissingDataError(f"{path} does not exist, nor do files with this prefix.")
    formats = "; ".join(f"{entry.card.name} ({entry.card.summary})" for entry in known) or "none"
    why = "".join(f"; {failure}" for failure in registry.why_missing())
    raise UsageError(f"{path} has a format that mscol cannot import. Known: {formats}{why}.")


def _claims(entry: Entry, path: Path, progress: Progress) -> bool:
    """Whether an importer recognises a path; an importer that fails is skipped with a warning."""
    try:
        options = make_options(entry.card.options, {}, entry.label)
        return claims_checkpoint(_importer(Part(entry, options)), path)
    except MscolError as error:
        progress.warn(str(error))
        return False


def _importer(part: Part) -> Importer:
    importer: Importer = build_part(part, Importer)
    return importer


def _build(
    model: ImportedModel, registry: Registry, where: str
) -> tuple[dict[str, Any], dict[str, dict[str, Tensor]]]:
    """Build encoder and objective and load their weights strictly.

    Returns:
        Their descriptions for run.json, and their weights.
    """
    encoder_part = find_part(registry, "encoder", model.encoder.name, (), _preset(model.encoder))
    encoder = build_encoder(encoder_part, seed=0)
    name, preset = model.objective.name, _preset(model.objective)
    objective_parts = find_objective(registry, name, (), preset)
    objective = build_objective(objective_parts, encoder, seed=0)
    built = (encoder, model.encoder), (objective, model.objective)
    for _, part in built:
        _check_finite(part, where)
    problems = [problem for pair in built for problem in _fill(*pair)]
    if problems:
        raise BadInputError(
            f"{where}: these weights do not fit the network: {'; '.join(problems)}."
        )
    return (
        {
            "objective": describe_objective(objective_parts),
            "encoder": describe_part(encoder_part),
        },
        {"encoder": encoder.state_dict(), "objective": objective.state_dict()},
    )


def _preset(part: ImportedPart) -> dict[str, Mapping[str, Any]]:
    return {part.name: part.options}


def _check_finite(part: ImportedPart, where: str) -> None:
    names = [name for name, tensor in part.weights.items() if not tensor.isfinite().all()]
    if names:
        raise BadInputError(
            f"{where} has NaN or infinite values in {', '.join(names)} of {part.name}: use an"
            " earlier checkpoint."
        )


def _fill(module: torch.nn.Module, part: ImportedPart) -> Iterator[str]:
    """Load the weights that fit; yield the others, and those that are missing, with the problem."""
    expected = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    shapes = {name: tuple(tensor.shape) for name, tensor in part.weights.items()}
    wrong = {name for name in expected.keys() & shapes if expected[name] != shapes[name]}
    fitting = {name: tensor for name, tensor in part.weights.items() if name not in wrong}
    with plugin_call(label_of(module), "load_state_dict"):
        loaded = module.load_state_dict(fitting, strict=False)
    for name in sorted(wrong):
        yield f"{name} of {part.name} has shape {shapes[name]}, not {expected[name]}"
    for name in sorted({*loaded.missing_keys} - wrong):
        yield f"{name} of {part.name} is missing"
    for name in sorted(loaded.unexpected_keys):
        yield f"{name} of {part.name} is unknown"


def _provenance(model: ImportedModel, importer: Part) -> dict[str, Any]:
    return {
        "importer": describe_part(importer),
        "sources": {path.name: file_hash(path) for path in model.sources},
        "mapped": model.mapped,
        "left_out": dict(model.left_out),
    }
