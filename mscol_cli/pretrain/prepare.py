"""Prepare a run: check the request, and write a run folder with a complete run.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from mscol_cli.contracts.cards import ObjectiveCard
from mscol_cli.contracts.encoder import Encoder
from mscol_cli.contracts.objective import Objective
from mscol_cli.contracts.plans import MIXTURE
from mscol_cli.contracts.progress import Progress
from mscol_cli.engine.models import build_encoder, build_objective
from mscol_cli.engine.trial import check_objective, try_objective
from mscol_cli.errors import MissingDataError, UsageError
from mscol_cli.host import Part, find_objective, find_part, load_registry
from mscol_cli.pretrain.finished import recorded_options, run_to_resume
from mscol_cli.pretrain.initial_weights import initial_file, load_initial
from mscol_cli.pretrain.online_probe import describe_online
from mscol_cli.pretrain.request import PretrainRequest
from mscol_cli.pretrain.settings import (
    RunSettings,
    check_training,
    process_count,
    resolve_settings,
)
from mscol_cli.pretrain.train_split import select_tracks
from mscol_cli.probe.tasks import DATA
from mscol_cli.recipes.options import Role, TrainingSettings, named
from mscol_cli.recipes.recipe import Recipe, read_recipe
from mscol_cli.runs import layout
from mscol_cli.runs.checkpoint import latest_checkpoint
from mscol_cli.runs.layout import INITIAL, RECIPE, RUNS
from mscol_cli.runs.state import training_lock
from mscol_cli.runs.tracks import tracks_file
from mscol_cli.store import Store, sealed_stores
from mscol_cli.system.files import escaped, write_bytes
from mscol_cli.system.launcher import launched
from mscol_cli.system.values import as_json

Parts = tuple[Encoder, Objective]
"""The parts to train, built with the run's settings and seed."""


def prepare_run(request: PretrainRequest, progress: Progress) -> tuple[Path, Parts | None]:
    """Check everything that can be checked before training, and write the run's settings.

    Returns:
        The run folder, and the parts built for the checks; None for a resumed run.

    Raises:
        UsageError: A name, option or number is invalid, or contradicts the run to resume.
        MissingDataError: The store or the run to resume does not exist.
    """
    if request.resume and not _starts_new(request):
        return _resume(request, progress), None
    return _create(request, progress)


def _starts_new(request: PretrainRequest) -> bool:
    """Whether `--resume` names and describes a run that does not exist yet: the same command can
    then start a job and resume it."""
    described = "objective" in request.options or request.recipe is not None
    return described and request.run is not None and not layout.is_run(request.run)


def dry_run(request: PretrainRequest, progress: Progress) -> str:
    """The configuration of a run as TOML, checked against its store if there is one.

    Raises:
        UsageError: A name, option or number is invalid, or `resume` is set.
    """
    if request.resume:
        raise UsageError("--dry-run and --resume exclude each other: see recipe.toml in the run.")
    settings = resolve_settings(request, load_registry())
    if request.store is not None or sealed_stores(DATA):
        _build_checked(settings, Store.open(request.store or _newest_store(progress)), progress)
    return settings.to_toml()


def _create(request: PretrainRequest, progress: Progress) -> tuple[Path, Parts]:
    settings = resolve_settings(request, load_registry())
    store = Store.open(request.store or _newest_store(progress))
    tracks, parts, init = _build_checked(settings, store, progress)
    described = {**settings.describe(), **describe_online(request.probe_every, load_registry())}
    names = described["objective"]["name"], described["encoder"]["name"]
    texts = {RECIPE: settings.to_toml(), **tracks_file(tracks)}
    files = {name: escaped(text).encode("utf-8") for name, text in texts.items()}
    if init:
        described["init"] = init
        files[f"{INITIAL}.safetensors"] = initial_file(parts[0])
    if request.run:
        folder = request.run
        layout.refuse_used(folder, files)
        folder.mkdir(parents=True, exist_ok=True)
    else:
        folder = layout.new_run(RUNS, *names)
    for name, content in files.items():
        write_bytes(folder / name, content)
    layout.write_run(folder, {**described, "store": _describe_store(store)})
    progress.note(f"run {folder}: {names[0]} with {names[1]}")
    return folder, parts


def _build_checked(
    settings: RunSettings, store: Store, progress: Progress
) -> tuple[list[str] | None, Parts, dict[str, Any]]:
    """Select the tracks to train on, build encoder and objective, and try them on these tracks.

    Returns:
        The tracks, the parts, and the description of the initial weights; empty for random ones.
    """
    tracks = select_tracks(store, settings.train_split, load_registry(), progress)
    store = store if tracks is None else store.only(tracks)
    encoder = build_encoder(settings.encoder, settings.training.seed)
    _check_rate(encoder.sample_rate, store)
    _check_weights(encoder, settings.encoder)
    _check_sources(settings.objective, store)
    init = load_initial(encoder, settings.init, load_registry(), progress) if settings.init else {}
    objective = build_objective(settings.objective, encoder, settings.training.seed)
    for note in check_objective(objective, store.index, settings.training.batch_size):
        progress.warn(note)
    # Before the run folder is created: an invalid objective must not leave one.
    try_objective(objective, encoder, store.index, settings.training.batch_size)
    return tracks, (encoder, objective), init


def _newest_store(progress: Progress) -> Path:
    stores = sealed_stores(DATA)
    if not stores:
        raise MissingDataError(
            "no sealed store under data/: make one with 'mscol separate DIR', or name one."
        )
    progress.note(f"store {stores[0]} (the newest under {DATA}/)")
    return stores[0]


def _check_rate(sample_rate: int, store: Store) -> None:
    if sample_rate != store.index.sample_rate:
        raise UsageError(
            f"the encoder needs {sample_rate} Hz, {store.path} has {store.index.sample_rate} Hz:"
            " choose another encoder, or resample in its frontend, as sample_cnn does."
        )


def _check_weights(encoder: Encoder, part: Part) -> None:
    if not any(weights.requires_grad for weights in encoder.parameters()):
        raise UsageError(f"encoder '{part.name}' has no weights to train: choose another encoder.")


def _check_sources(objective: Sequence[Part], store: Store) -> None:
    cards = [part.entry.card for part in objective]
    needed = any(isinstance(card, ObjectiveCard) and card.needs_sources for card in cards)
    if needed and set(store.index.sources) <= {MIXTURE}:
        raise UsageError(
            "the store has only mixtures, no sources: separate again with"
            " --separator openunmix or stems, or choose another objective."
        )


def _resume(request: PretrainRequest, progress: Progress) -> Path:
    recipe = read_recipe(request.recipe)
    request = replace(request, options=recipe.settings("pretrain", request.options))
    folder = run_to_resume(request.run)
    info = layout.read_run(folder)
    with training_lock(folder):
        # If another process trains, fail before anything is written; training locks again.
        pass
    if "training" not in info:
        raise UsageError(
            f"{folder} was imported and cannot be resumed: start a new run without --resume."
        )
    store = _find_store(request, folder, info["store"], progress)
    differences = _fixed_differences(request, folder, info, store, recipe)
    if differences:
        raise UsageError(
            f"{folder} was started with other settings ({'; '.join(differences)}): omit these to"
            " resume it, or start a new run."
        )
    changes = _free_changes(request, info["training"])
    info["training"] |= {name: new for name, _, new in changes}
    check_training(TrainingSettings(**info["training"]))
    _check_steps(folder, info["training"]["steps"])
    if changes:
        progress.note(f"{folder} resumes with {'; '.join(map(_arrow, changes))}")
    info["store"] = store
    info |= describe_online(request.probe_every, load_registry())
    layout.write_run(folder, info)
    return folder


def _find_store(
    request: PretrainRequest, folder: Path, recorded: Mapping[str, Any], progress: Progress
) -> dict[str, str]:
    """The store of a resumed run, as recorded in run.json: at its recorded path, or at the one
    given."""
    path = request.store or Path(recorded["path"])
    try:
        store = Store.open(path)
    except MissingDataError as error:
        raise MissingDataError(
            f"{error} {folder} trains on this store: give its new path, as in"
            f" 'mscol pretrain STORE --resume -o {folder}'."
        ) from None
    described = _describe_store(store)
    if request.store is None and described["hash"] != recorded["hash"]:
        raise UsageError(f"{path} has changed since {folder} was started: train a new run.")
    if described["hash"] == recorded["hash"] and described["path"] != recorded["path"]:
        progress.note(f"the store of {folder} is now at {path}")
    return described


def _describe_store(store: Store) -> dict[str, str]:
    return {"path": str(store.path.resolve()), "hash": store.hash}


def _store_name(described: Mapping[str, str]) -> str:
    return f"{described['path']} ({described['hash'][:12]})"


def _check_steps(folder: Path, steps: int) -> None:
    checkpoint = latest_checkpoint(folder)
    if checkpoint is not None and steps < checkpoint.step:
        raise UsageError(
            f"{folder} is at step {checkpoint.step}: --steps {steps} cannot undo updates; see"
            f" {folder}/checkpoints for earlier checkpoints."
        )


Change = tuple[str, Any, Any]
"""Name of a setting, the recorded value, and the requested value."""


def _arrow(change: Change) -> str:
    name, old, new = change
    return f"{name} {as_json(old)} -> {as_json(new)}"


def _changes(requested: Mapping[str, Any], recorded: Mapping[str, Any]) -> list[Change]:
    return [
        (name, recorded.get(name), value)
        for name, value in requested.items()
        if as_json(value) != as_json(recorded.get(name))
    ]


def _requested(request: PretrainRequest, *roles: Role) -> dict[str, Any]:
    return {name: request.options[name] for name in named(*roles) if name in request.options}


def _free_changes(request: PretrainRequest, recorded: Mapping[str, Any]) -> list[Change]:
    """Changes that a resumed run may make: to steps, saving, device and processes."""
    requested = _requested(request, "length", "saving", "where")
    if launched() is not None or request.gpus is not None or request.processes is not None:
        requested["processes"] = process_count(request)
    return _changes(requested, {**asdict(TrainingSettings()), **recorded})


def _fixed_differences(
    request: PretrainRequest,
    folder: Path,
    info: Mapping[str, Any],
    store: Mapping[str, Any],
    recipe: Recipe,
) -> list[str]:
    """Changes by the command line or a recipe that a resumed run may not make."""
    changes = _changes(_requested(request, "result"), recorded_options(info))
    if store["hash"] != info["store"]["hash"]:
        changes.append(("store", _store_name(info["store"]), _store_name(store)))
    # Plugin options can be compared only if objective and encoder are the recorded ones.
    if not {name for name, _, _ in changes} & {"objective", "encoder"}:
        changes += _option_changes(request, folder, info, recipe)
    return list(map(_arrow, changes))


def _option_changes(
    request: PretrainRequest, folder: Path, info: Mapping[str, Any], recipe: Recipe
) -> list[Change]:
    objective, encoder = info["objective"], info["encoder"]
    registry = load_registry().as_recorded("objective", objective["parts"], folder)
    registry = registry.as_recorded("encoder", [encoder], folder)
    recorded = {part["name"]: part["options"] for part in objective["parts"]}
    preset = _override(recorded, recipe.preset("objectives"))
    assignments = request.objective_options
    parts = find_objective(registry, objective["name"], assignments, preset, request.stems)
    preset = _override({encoder["name"]: encoder["options"]}, recipe.preset("encoders"))
    parts += [find_part(registry, "encoder", encoder["name"], request.encoder_options, preset)]
    return [
        change
        for options, part in zip([*recorded.values(), encoder["options"]], parts, strict=True)
        # Options that are newer than the run have the defaults that it was trained with.
        for change in _changes(asdict(part.options), {**asdict(type(part.options)()), **options})
    ]


def _override(
    recorded: Mapping[str, Mapping[str, Any]], preset: Mapping[str, Mapping[str, Any]]
) -> dict[str, Mapping[str, Any]]:
    """A run's options, overridden by those of a recipe."""
    return {name: {**options, **preset.get(name, {})} for name, options in recorded.items()}
