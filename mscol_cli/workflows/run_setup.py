"""From resolved settings to a run folder whose run.json says all there is to know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mscol_cli.checkpoints import runs
from mscol_cli.contracts.encoder import Encoder
from mscol_cli.contracts.objective import Objective
from mscol_cli.contracts.progress import Progress
from mscol_cli.engine.devices import is_launched
from mscol_cli.engine.models import (
    RUNS,
    build_encoder,
    build_objective,
    find_run,
)
from mscol_cli.engine.settings import TrainingSettings
from mscol_cli.errors import MissingDataError, UsageError
from mscol_cli.files import write_text
from mscol_cli.host import find_objective, find_part, load_registry
from mscol_cli.store import Store, sealed_stores
from mscol_cli.workflows.online_probe import describe_online
from mscol_cli.workflows.run_settings import (
    WHERE,
    PretrainRequest,
    RunSettings,
    process_count,
    resolve_settings,
)
from mscol_cli.workflows.train_split import select_tracks, write_tracks

DATA = Path("data")
RECIPE = "recipe.toml"
TRIED = 2


def prepare_run(request: PretrainRequest, progress: Progress) -> Path:
    """Check everything that can be checked before training, and write the run's settings.

    Returns:
        The run folder.

    Raises:
        UsageError: A name, option or number that cannot be used, or a resumed run that was
            started otherwise.
        MissingDataError: No store, or no run to resume.
    """
    return _resumed(request) if request.resume else _created(request, progress)


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


def _created(request: PretrainRequest, progress: Progress) -> Path:
    settings = resolve_settings(request, load_registry())
    store = Store.open(request.store or _newest_store(progress))
    tracks = _choose(settings, store, progress)
    described = {**settings.describe(), **describe_online(request.probe_every, load_registry())}
    names = described["objective"]["name"], described["encoder"]["name"]
    folder = _claim(request.run) if request.run else runs.new_run(RUNS, *names)
    held = {"path": str(store.path.resolve()), "hash": store.hash}
    write_text(folder / RECIPE, settings.to_toml())
    write_tracks(folder, tracks)
    runs.write_run(folder, {**described, "store": held})
    runs.point_latest(RUNS, folder)
    progress.note(f"run {folder}: {names[0]} with {names[1]}")
    return folder


def _choose(settings: RunSettings, store: Store, progress: Progress) -> list[str] | None:
    """The tracks to train on, after a look at whether the run can be made of them."""
    tracks = select_tracks(store, settings.train_split, load_registry(), progress)
    _check_store(settings, store if tracks is None else store.only(tracks), progress)
    return tracks


def _check_store(settings: RunSettings, store: Store, progress: Progress) -> None:
    encoder = build_encoder(settings.encoder, settings.training.seed)
    _check_rate(encoder.sample_rate, store)
    objective = build_objective(settings.objective, encoder, settings.training.seed)
    for note in objective.check(store.index, settings.training.batch_size):
        progress.warn(note)
    _try_crops(encoder, objective, store)


def _try_crops(encoder: Encoder, objective: Objective, store: Store) -> None:
    """Let an objective change a few silent crops: one that cannot work with what this encoder's
    front end gives says so before there is a run folder."""
    plan = objective.plan(store.index, np.random.default_rng(0), TRIED)
    labels = {name: torch.from_numpy(label) for name, label in plan.labels.items()}
    crops = {view: torch.zeros(TRIED, encoder.crop_samples) for view in plan.views}
    with torch.no_grad():
        changed = objective.augment_waveforms(crops, labels)
        features = {view: encoder.frontend(rows) for view, rows in changed.items()}
        objective.augment_features(features, labels)


def _claim(folder: Path) -> Path:
    runs.refuse_used(folder)
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


def _resumed(request: PretrainRequest) -> Path:
    if request.recipe is not None:
        raise UsageError("--recipe is for a new run; one that is resumed has its settings.")
    folder = find_run(request.run) if request.run else runs.latest_run(RUNS)
    info = runs.read_run(folder)
    if "training" not in info:
        raise UsageError(
            f"{folder} was imported, and is no run to resume: start a new one without --resume."
        )
    differences = _differences(request, info)
    if differences:
        raise UsageError(f"{folder} was started otherwise: {'; '.join(differences)}.")
    for name in ("steps", "save_every", *WHERE):
        if getattr(request, name) is not None:
            info["training"][name] = getattr(request, name)
    if is_launched() or request.gpus is not None or request.processes is not None:
        info["training"]["processes"] = process_count(request)
    TrainingSettings(**info["training"]).check()
    info |= describe_online(request.probe_every, load_registry())
    runs.write_run(folder, info)
    runs.point_latest(RUNS, folder)
    return folder


def _differences(request: PretrainRequest, info: Mapping[str, Any]) -> list[str]:
    """What was given on the command line and is not what the run recorded."""
    recorded: dict[str, Any] = {
        "objective": info["objective"]["name"],
        "encoder": info["encoder"]["name"],
        **{
            name: info["training"][name]
            for name in ("batch_size", "learning_rate", "schedule", "seed")
        },
        "train_split": info["train_split"],
    }
    given: dict[str, Any] = {name: getattr(request, name) for name in recorded}
    if request.store is not None:
        recorded["store"], given["store"] = info["store"]["hash"], Store.open(request.store).hash
    found = [
        f"{name} {recorded[name]}, not {value}"
        for name, value in given.items()
        if value is not None and value != recorded[name]
    ]
    # Options are those of the recorded parts: with another objective or encoder they mean nothing.
    other = {text.partition(" ")[0] for text in found} & {"objective", "encoder"}
    return found if other else found + _option_differences(request, info)


def _option_differences(request: PretrainRequest, info: Mapping[str, Any]) -> list[str]:
    registry = load_registry()
    objective, encoder = info["objective"], info["encoder"]
    preset = {part["name"]: part["options"] for part in objective["parts"]}
    now = find_objective(registry, objective["name"], request.objective_options, preset)
    own = {encoder["name"]: encoder["options"]}
    now = [*now, find_part(registry, "encoder", encoder["name"], request.encoder_options, own)]
    return [
        f"{name} {_plain(before[name])}, not {_plain(value)}"
        for before, part in zip([*preset.values(), encoder["options"]], now, strict=True)
        for name, value in asdict(part.options).items()
        if _plain(value) != _plain(before[name])
    ]


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
