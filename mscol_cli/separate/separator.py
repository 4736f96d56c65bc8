"""Which separator a request names, and what identifies it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path

from mscol_cli.contracts.progress import Progress
from mscol_cli.contracts.separator import Separator, SeparatorContext
from mscol_cli.engine.devices import pick_device
from mscol_cli.host import Part, find_part, load_registry
from mscol_cli.host.building import build_part
from mscol_cli.host.checks.separator import validate_separator
from mscol_cli.recipes.recipe import read_recipe
from mscol_cli.store import SeparatorIdentity

DEFAULT_SEPARATOR = "openunmix"


@dataclass(frozen=True)
class SeparateRequest:
    """What to separate, and how.

    Attributes:
        inputs: Files, and folders to search.
        output: The store; None puts it beside the one input folder, as `FOLDER.store`.
        separator: Name of the separator; None for the recipe's, or `openunmix`.
        model: Weights: a name the separator knows, or a path; None is the recipe's, or the
            separator's default.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        options: `KEY=VALUE` for the separator.
        recipe: Name or file of a recipe.
        export: Format of listening copies, `flac`, `wav` or `ogg`; None makes none.
        export_dir: Where they go; None puts them beside the store, `X-stems` for `X.store`.
        offline: Fetch no weights.
        jobs: Processes that share the work on this machine.
        gpus: As many processes, each with a GPU of its own.
        retry_failed: Take only inputs that failed before.
    """

    inputs: tuple[Path, ...]
    output: Path | None = None
    separator: str | None = None
    model: str | None = None
    device: str = "auto"
    options: tuple[str, ...] = ()
    recipe: str | None = None
    export: str | None = None
    export_dir: Path | None = None
    offline: bool = False
    jobs: int | None = None
    gpus: int | None = None
    retry_failed: bool = False


def build_separator(
    request: SeparateRequest, progress: Progress, plan_only: bool = False
) -> tuple[Separator, SeparatorIdentity]:
    """The separator that was asked for, and what identifies it; the licence of its weights is said.

    Args:
        request: With its name, model and options.
        progress: Who is told of downloads and the licence.
        plan_only: Only its attributes are of interest; weights need not be there.

    Raises:
        UsageError: There is none of that name, or an option of it is wrong.
        MissingDataError: Its weights are not there.
        PluginError: It breaks the contract of separators.
        PluginCallError: Its plugin raised an exception.
    """
    part, model = resolve(request)
    context = SeparatorContext(str(pick_device(request.device)), model, progress, request.offline)
    separator: Separator = build_part(part, Separator, replace(context, plan_only=plan_only))
    validate_separator(separator)
    if "licence" in separator.passport:
        weights = separator.passport.get("model", part.name)
        progress.note(f"weights: {weights}, licence: {separator.passport['licence']}")
    return separator, _identity(part, separator)


def resolve(request: SeparateRequest) -> tuple[Part, str | None]:
    """The separator and its `--model`: defaults under the recipe under what was given."""
    recipe = read_recipe(request.recipe)
    asked = recipe.settings("separate", {"separator": request.separator, "model": request.model})
    name = asked.get("separator", DEFAULT_SEPARATOR)
    if name != recipe.commands.get("separate", {}).get("separator", name):
        asked["model"] = request.model  # the recipe's was meant for its own separator
    part = find_part(
        load_registry(), "separator", name, request.options, recipe.preset("separators")
    )
    return part, asked.get("model")


def _identity(part: Part, separator: Separator) -> SeparatorIdentity:
    values = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in asdict(part.options).items()
    }
    entry, passport = part.entry, dict(separator.passport)
    return SeparatorIdentity(part.name, entry.owner, entry.version, values, passport)
