"""From resolved settings to a run folder whose run.json says all there is to know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mscol_cli.contracts.cards import ObjectiveCard
from mscol_cli.contracts.encoder import Encoder
from mscol_cli.contracts.objective import Objective
from mscol_cli.contracts.plans import MIXTURE
from mscol_cli.contracts.progress import Progress
from mscol_cli.engine.devices import is_launched
from mscol_cli.engine.models import (
    build_encoder,
    build_objective,
)
from mscol_cli.engine.trial import check_objective, try_objective
from mscol_cli.errors import MissingDataError, UsageError
from mscol_cli.host import Part, find_objective, find_part, load_registry
from mscol_cli.pretrain.finished import recorded_options, run_to_resume
from mscol_cli.pretrain.online_probe import describe_online
from mscol_cli.pretrain.request import PretrainRequest
from mscol_cli.pretrain.settings import (
    RunSettings,
    check_training,
    process_count,
    resolve_settings,
    with_recipe,
)
from mscol_cli.pretrain.train_split import select_tracks
from mscol_cli.probe.tasks import DATA
from mscol_cli.recipes.options import TrainingSettings, named
from mscol_cli.recipes.recipe import Recipe, read_recipe
from mscol_cli.runs import layout
from mscol_cli.runs.checkpoint import latest_checkpoint
from mscol_cli.runs.layout import RECIPE, RUNS
from mscol_cli.runs.state import training_lock
from mscol_cli.runs.tracks import tracks_file
from mscol_cli.store import Store, sealed_stores
from mscol_cli.system.files import write_text

Parts = tuple[Encoder, Objective]
"""What is trained, as it was built from the run's settings and seed."""


def prepare_run(request: PretrainRequest, progress: Progress) -> tuple[Path, Parts | None]:
    """Check everything that can be checked before training, and write the run's settings.

    Returns:
        The run folder, and the parts that were built to check them; none for a resumed run.

    Raises:
        UsageError: A name, option or number that cannot be used, or a resumed run that was
            started otherwise.
        MissingDataError: No store, or no run to resume.
    """
    if request.resume and not _to_begin(request):
        return _resumed(request, progress), None
    return _created(request, progress)


def _to_begin(request: PretrainRequest) -> bool:
    """Whether a run that is named and described is not there yet: a job that is sent again, or was
    killed before it had begun, has one command for both."""
    described = "objective" in request.options or request.recipe is not None
    return described and request.run is not None and not layout.is_run(request.run)


def dry_run(request: PretrainRequest, progress: Progress) -> str:
    """The configuration a run would have, as TOML; a store that is there is looked at, too.

    Raises:
        UsageError: A name, option or number that cannot be used, or with `resume`.
    """
    if request.resume:
        raise UsageError("--dry-run and --resume exclude each other: see recipe.toml in the run.")
    settings = resolve_settings(request, load_registry())
    if request.store is not None or sealed_stores(DATA):
        _choose(settings, Store.open(request.store or _newest_store(progress)), progress)
    return settings.to_toml()


def _created(request: PretrainRequest, progress: Progress) -> tuple[Path, Parts]:
    settings = resolve_settings(request, load_registry())
    store = Store.open(request.store or _newest_store(progress))
    tracks, parts = _choose(settings, store, progress)
    described = {**settings.describe(), **describe_online(request.probe_every, load_registry())}
    names = described["objective"]["name"], described["encoder"]["name"]
    files = {RECIPE: settings.to_toml(), **tracks_file(tracks)}
    folder = _claim(request.run, files) if request.run else layout.new_run(RUNS, *names)
    for name, text in files.items():
        write_text(folder / name, text)
    layout.write_run(folder, {**described, "store": _held(store)})
    progress.note(f"run {folder}: {names[0]} with {names[1]}")
    return folder, parts


def _choose(
    settings: RunSettings, store: Store, progress: Progress
) -> tuple[list[str] | None, Parts]:
    """The tracks to train on, and the parts that are trained, once they were tried on them."""
    tracks = select_tracks(store, settings.train_split, load_registry(), progress)
    parts = _build_checked(settings, store if tracks is None else store.only(tracks), progress)
    return tracks, parts


def _build_checked(settings: RunSettings, store: Store, progress: Progress) -> Parts:
    encoder = build_encoder(settings.encoder, settings.training.seed)
    _check_rate(encoder.sample_rate, store)
    _check_sources(settings.objective[0], store)
    objective = build_objective(settings.objective, encoder, settings.training.seed)
    for note in check_objective(objective, store.index, settings.training.batch_size):
        progress.warn(note)
    # An objective that cannot work with this encoder, or breaks its contract, leaves no run folder.
    try_objective(objective, encoder, store.index, settings.training.batch_size)
    return encoder, objective


def _claim(folder: Path, files: Mapping[str, str]) -> Path:
    layout.refuse_used(folder, files)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _newest_store(progress: Progress) -> Path:
    found = sealed_stores(DATA)
    if not found:
        raise MissingDataError(
            "no sealed store under data/: make one with 'mscol separate DIR', or name one."
        )
    progress.note(f"store {found[0]} (the newest under {DATA}/)")
    return found[0]


def _check_rate(sample_rate: int, store: Store) -> None:
    if sample_rate != store.index.sample_rate:
        raise UsageError(
            f"the encoder takes {sample_rate} Hz, {store.path} holds {store.index.sample_rate} Hz:"
            " choose another encoder."
        )


def _check_sources(objective: Part, store: Store) -> None:
    card = objective.entry.card
    needed = isinstance(card, ObjectiveCard) and card.needs_sources
    if needed and set(store.index.sources) <= {MIXTURE}:
        raise UsageError(
            "the store holds no sources, only mixtures: separate again with"
            " --separator openunmix or stems, or choose another objective."
        )


def _resumed(request: PretrainRequest, progress: Progress) -> Path:
    recipe = read_recipe(request.recipe)
    request = with_recipe(request, recipe)
    folder = run_to_resume(request.run)
    info = layout.read_run(folder)
    with training_lock(folder):
        # Asked before anything is written; who trains asks again, and keeps others out.
        pass
    if "training" not in info:
        raise UsageError(
            f"{folder} was imported, and is no run to resume: start a new one without --resume."
        )
    held = _same_store(request, folder, info["store"], progress)
    fixed = _fixed_differences(request, info, held, recipe)
    if fixed:
        raise UsageError(
            f"{folder} was started otherwise ({'; '.join(fixed)}): leave these out to go on with"
            " it, or start a new run."
        )
    changes = _free_changes(request, info["training"])
    info["training"] |= {name: new for name, _, new in changes}
    check_training(TrainingSettings(**info["training"]))
    _check_steps(folder, info["training"]["steps"])
    if changes:
        progress.note(f"{folder} goes on with {'; '.join(map(_arrow, changes))}")
    info["store"] = held
    info |= describe_online(request.probe_every, load_registry())
    layout.write_run(folder, info)
    return folder


def _same_store(
    request: PretrainRequest, folder: Path, recorded: Mapping[str, Any], progress: Progress
) -> dict[str, str]:
    """The store a run goes on with, as run.json records it: where it was, or where it is said to
    be now."""
    path = request.store or Path(recorded["path"])
    try:
        store = Store.open(path)
    except MissingDataError as error:
        raise MissingDataError(
            f"{error} {folder} learns from this store: name the place where it is now, as in"
            f" 'mscol pretrain STORE --resume -o {folder}'."
        ) from None
    held = _held(store)
    if request.store is None and held["hash"] != recorded["hash"]:
        raise UsageError(f"{path} has changed since {folder} was started: train a new run.")
    if held["hash"] == recorded["hash"] and held["path"] != recorded["path"]:
        progress.note(f"the store of {folder} lies at {path} now")
    return held


def _held(store: Store) -> dict[str, str]:
    """A store, as run.json records it."""
    return {"path": str(store.path.resolve()), "hash": store.hash}


def _named(held: Mapping[str, str]) -> str:
    return f"{held['path']} ({held['hash'][:12]})"


def _check_steps(folder: Path, steps: int) -> None:
    found = latest_checkpoint(folder)
    if found is not None and steps < found.step:
        raise UsageError(
            f"{folder} has made {found.step} updates: --steps {steps} cannot take any back; see"
            f" {folder}/checkpoints for earlier ones."
        )


Change = tuple[str, Any, Any]
"""Name of a setting, what the run recorded, and what was given."""


def _arrow(change: Change) -> str:
    name, old, new = change
    return f"{name} {_plain(old)} -> {_plain(new)}"


def _changed(given: Mapping[str, Any], recorded: Mapping[str, Any]) -> list[Change]:
    return [
        (name, recorded.get(name), value)
        for name, value in given.items()
        if _plain(value) != _plain(recorded.get(name))
    ]


def _given(request: PretrainRequest, names: Sequence[str]) -> dict[str, Any]:
    return {name: request.options[name] for name in names if name in request.options}


def _free_changes(request: PretrainRequest, recorded: Mapping[str, Any]) -> list[Change]:
    """What a resumed run may change: how long, where and in how many processes to compute."""
    given = _given(request, named("length", "saving", "where"))
    if is_launched() or request.gpus is not None or request.processes is not None:
        given["processes"] = process_count(request)
    return _changed(given, {**asdict(TrainingSettings()), **recorded})


def _fixed_differences(
    request: PretrainRequest, info: Mapping[str, Any], held: Mapping[str, Any], recipe: Recipe
) -> list[str]:
    """What the command line or a recipe says and is not what the run recorded."""
    found = _changed(_given(request, named("result")), recorded_options(info))
    if held["hash"] != info["store"]["hash"]:
        found.append(("store", _named(info["store"]), _named(held)))
    # Options are those of the recorded parts: with another objective or encoder they mean nothing.
    other = {name for name, _, _ in found} & {"objective", "encoder"}
    return list(map(_arrow, found if other else found + _option_changes(request, info, recipe)))


def _option_changes(
    request: PretrainRequest, info: Mapping[str, Any], recipe: Recipe
) -> list[Change]:
    registry = load_registry()
    objective, encoder = info["objective"], info["encoder"]
    before = {part["name"]: part["options"] for part in objective["parts"]}
    preset = _over(before, recipe.preset("objectives"))
    given = request.objective_options
    now = find_objective(registry, objective["name"], given, preset, request.stems)
    own = _over({encoder["name"]: encoder["options"]}, recipe.preset("encoders"))
    now = [*now, find_part(registry, "encoder", encoder["name"], request.encoder_options, own)]
    return [
        change
        for options, part in zip([*before.values(), encoder["options"]], now, strict=True)
        for change in _changed(asdict(part.options), options)
    ]


def _over(
    recorded: Mapping[str, Mapping[str, Any]], preset: Mapping[str, Mapping[str, Any]]
) -> dict[str, Mapping[str, Any]]:
    """A run's options, with those of a recipe over them."""
    return {name: {**options, **preset.get(name, {})} for name, options in recorded.items()}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
