"""Checks of importers: the results of `claims` and `read`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from mscol_cli.contracts.importer import ImportedModel, ImportedPart, Importer
from mscol_cli.errors import BadInputError, MissingDataError, UsageError
from mscol_cli.host.checks.values import breach, is_whole
from mscol_cli.host.guard import guarded, label_of


def claims_checkpoint(importer: Importer, path: Path) -> bool:
    """Whether an importer claims a checkpoint.

    Raises:
        PluginError: `claims` did not return a boolean.
        PluginCallError: `claims` raised an exception.
    """
    claimed = guarded(importer, importer.claims, str(path))(path)
    if not isinstance(claimed, bool):
        raise breach(label_of(importer), f"claims returned {claimed!r}, neither True nor False")
    return claimed


def read_checkpoint(importer: Importer, path: Path) -> ImportedModel:
    """Read a checkpoint.

    Raises:
        MscolError: The checkpoint cannot be used.
        PluginError: `read` did not return a valid ImportedModel.
        PluginCallError: `read` raised another exception.
    """
    allowed = (BadInputError, MissingDataError, UsageError)
    model = guarded(importer, importer.read, str(path), allowed)(path)
    validate_model(model, label_of(importer))
    return model


def validate_model(model: object, label: str) -> None:
    """Check the result of `Importer.read`. Raises PluginError."""
    if not isinstance(model, ImportedModel):
        raise breach(label, f"read returned {type(model).__name__}, not an ImportedModel")
    _check_part(model.encoder, "encoder", label)
    _check_part(model.objective, "objective", label)
    for name in ("step", "mapped"):
        if not is_whole(getattr(model, name)):
            raise breach(
                label, f"{name} is {getattr(model, name)!r}, not a whole number of at least 0"
            )
    if not isinstance(model.sources, Sequence):
        raise breach(label, f"sources are {model.sources!r}, not a list of files")
    for path in model.sources:
        if not isinstance(path, Path) or not path.is_file():
            raise breach(label, f"sources contains {str(path)!r}, which is not a file")
    if not _has_names(model.left_out, is_whole):
        raise breach(label, f"left_out is {model.left_out!r}, not counts by kind")


def _check_part(part: object, name: str, label: str) -> None:
    from torch import Tensor

    if not isinstance(part, ImportedPart) or not isinstance(part.name, str):
        raise breach(label, f"{name} is {part!r}, not an ImportedPart with a name")
    if not _has_names(part.options):
        raise breach(label, f"options of its {name} are {part.options!r}, not values by name")
    if not _has_names(part.weights, lambda weight: isinstance(weight, Tensor)):
        raise breach(label, f"weights of its {name} are not tensors by name")


def _has_names(values: object, is_valid: Callable[[object], bool] = lambda _: True) -> bool:
    return isinstance(values, Mapping) and all(
        isinstance(name, str) and is_valid(value) for name, value in values.items()
    )
