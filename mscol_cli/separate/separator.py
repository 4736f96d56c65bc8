"""Building the requested separator and its identity."""

from __future__ import annotations

from mscol_cli.contracts.progress import Progress
from mscol_cli.contracts.separator import Separator, SeparatorContext
from mscol_cli.engine.devices import pick_device
from mscol_cli.errors import UsageError
from mscol_cli.host import Part, find_part, load_registry
from mscol_cli.host.building import build_part
from mscol_cli.host.checks.separator import validate_separator
from mscol_cli.recipes.recipe import read_recipe
from mscol_cli.separate.request import SeparateRequest
from mscol_cli.store import SeparatorIdentity
from mscol_cli.system.values import as_json

DEFAULT_SEPARATOR = "openunmix"
PRECISIONS = ("auto", "fp32", "bf16", "fp16")


def build_separator(
    request: SeparateRequest, progress: Progress, plan_only: bool = False
) -> tuple[Separator, SeparatorIdentity]:
    """Build the requested separator and its identity, and print the licence of its weights.

    Args:
        request: Name, model and options of the separator.
        progress: Receives downloads and the licence.
        plan_only: Whether only attributes are needed; the weights may be missing.

    Raises:
        UsageError: The name is unknown, or an option is invalid.
        MissingDataError: The weights do not exist.
        PluginError: The separator breaks its contract.
        PluginCallError: The plugin raised an exception.
    """
    if request.precision not in PRECISIONS:
        raise UsageError(f"--precision is '{request.precision}': use {', '.join(PRECISIONS)}.")
    part, model = resolve(request)
    context = SeparatorContext(
        device=str(pick_device(request.device)),
        model=model,
        progress=progress,
        offline=request.offline,
        plan_only=plan_only,
        precision=request.precision,
    )
    separator: Separator = build_part(part, Separator, context)
    validate_separator(separator)
    if request.precision not in ("auto", separator.passport.get("precision", "fp32")):
        raise UsageError(f"separator '{part.name}' has no --precision {request.precision}.")
    if "licence" in separator.passport:
        weights = separator.passport.get("model", part.name)
        progress.note(f"weights: {weights}, licence: {separator.passport['licence']}")
    entry, options, provenance = part.entry, as_json(part.options), dict(separator.passport)
    identity = SeparatorIdentity(part.name, entry.owner, entry.version, options, provenance)
    return separator, identity


def resolve(request: SeparateRequest) -> tuple[Part, str | None]:
    """The separator and its `--model`. The request overrides the recipe, the recipe defaults."""
    recipe = read_recipe(request.recipe)
    settings = recipe.settings("separate", {"separator": request.separator, "model": request.model})
    name = settings.get("separator", DEFAULT_SEPARATOR)
    if name != recipe.commands.get("separate", {}).get("separator", name):
        settings["model"] = request.model  # that of the recipe belongs to another separator
    part = find_part(
        load_registry(), "separator", name, request.options, recipe.preset("separators")
    )
    return part, settings.get("model")
