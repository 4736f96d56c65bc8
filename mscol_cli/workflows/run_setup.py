"""From what was asked to a run folder whose run.json says all there is to know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mscol_cli import distributed
from mscol_cli.checkpoints import runs
from mscol_cli.contracts.progress import Progress
from mscol_cli.engine.devices import is_launched, pick_device, require_gpus
from mscol_cli.engine.models import DEFAULT_ENCODER, RUNS, build_encoder, build_objective, find_run
from mscol_cli.engine.settings import TrainingSettings, describe_part, describe_software
from mscol_cli.errors import MissingDataError, UsageError
from mscol_cli.host import Entry, Registry, load_registry
from mscol_cli.store import Store, sealed_stores

DATA = Path("data")


@dataclass(frozen=True)
class PretrainRequest:
    """What the user asked for; None takes the default, or with `resume` what the run recorded.

    Attributes:
        objective: Name of the pretext task; needed unless `resume`.
        store: A sealed store; None takes the newest one under `data/`.
        encoder: Name of the network.
        objective_options: `KEY=VALUE` for the objective.
        encoder_options: `KEY=VALUE` for the encoder.
        steps: Updates in all.
        batch_size: Pairs per update, over all processes.
        learning_rate: Of Adam, before it is halved half-way.
        seed: Decides initial weights and every plan.
        save_every: Updates between checkpoints.
        gpus: Processes, one GPU each.
        processes: Processes on the CPU.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        run: Run folder; None makes the next one under `runs/`, or resumes `runs/latest`.
        resume: Continue a run instead of starting one.
    """

    objective: str | None = None
    store: Path | None = None
    encoder: str | None = None
    objective_options: tuple[str, ...] = ()
    encoder_options: tuple[str, ...] = ()
    steps: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    seed: int | None = None
    save_every: int | None = None
    gpus: int | None = None
    processes: int | None = None
    device: str | None = None
    run: Path | None = None
    resume: bool = False


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


def _created(request: PretrainRequest, progress: Progress) -> Path:
    registry = load_registry()
    described = _describe(request, registry)
    settings = TrainingSettings(**described["training"])
    store = Store.open(request.store or _newest_store(progress))
    encoder = build_encoder(*recorded_part(described, "encoder", registry), settings.seed)
    _check_rate(encoder.sample_rate, store)
    objective_part = recorded_part(described, "objective", registry)
    objective = build_objective(*objective_part, encoder, settings.seed)
    for note in objective.check(store.index, settings.batch_size):
        progress.warn(note)
    names = described["objective"]["name"], described["encoder"]["name"]
    folder = _claim(request.run) if request.run else runs.new_run(RUNS, *names)
    held = {"path": str(store.path.resolve()), "hash": store.hash}
    runs.write_run(folder, {**described, "store": held})
    runs.point_latest(RUNS, folder)
    progress.note(f"run {folder}: {names[0]} with {names[1]}")
    return folder


def _claim(folder: Path) -> Path:
    runs.refuse_used(folder)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _describe(request: PretrainRequest, registry: Registry) -> dict[str, Any]:
    if request.objective is None:
        names = ", ".join(entry.card.name for entry in registry.of_kind("objective"))
        raise UsageError(f"choose what to learn from with --objective: {names}.")
    objective = registry.find("objective", request.objective)
    encoder = registry.find("encoder", request.encoder or DEFAULT_ENCODER)
    return {
        **describe_software(),
        "objective": describe_part(objective, objective.options(request.objective_options)),
        "encoder": describe_part(encoder, encoder.options(request.encoder_options)),
        "training": asdict(_training_settings(request)),
    }


def _training_settings(request: PretrainRequest) -> TrainingSettings:
    given = {
        name: value
        for name in ("steps", "batch_size", "learning_rate", "seed", "save_every", "device")
        if (value := getattr(request, name)) is not None
    }
    settings = TrainingSettings(**given, processes=_process_count(request))
    settings.check()
    pick_device(settings.device)
    return settings


def _process_count(request: PretrainRequest) -> int:
    if is_launched():
        return distributed.world_size()
    if request.gpus is not None and request.processes is not None:
        raise UsageError("--gpus and --processes exclude each other: give one of them.")
    if request.gpus is not None:
        if request.gpus < 1:
            raise UsageError("--gpus must be at least 1.")
        if request.device not in (None, "auto", "cuda"):
            raise UsageError(f"--gpus and --device {request.device} exclude each other.")
        require_gpus(request.gpus)
        return request.gpus
    return request.processes if request.processes is not None else 1


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
    folder = find_run(request.run) if request.run else runs.latest_run(RUNS)
    info = runs.read_run(folder)
    differences = _differences(request, info)
    if differences:
        raise UsageError(f"{folder} was started otherwise: {'; '.join(differences)}.")
    for name in ("steps", "save_every", "device"):
        if getattr(request, name) is not None:
            info["training"][name] = getattr(request, name)
    if is_launched() or request.gpus is not None or request.processes is not None:
        info["training"]["processes"] = _process_count(request)
    TrainingSettings(**info["training"]).check()
    runs.write_run(folder, info)
    runs.point_latest(RUNS, folder)
    return folder


def _differences(request: PretrainRequest, info: Mapping[str, Any]) -> list[str]:
    """What was given on the command line and is not what the run recorded."""
    registry = load_registry()
    recorded: dict[str, Any] = {
        "objective": info["objective"]["name"],
        "encoder": info["encoder"]["name"],
        **{name: info["training"][name] for name in ("batch_size", "learning_rate", "seed")},
    }
    given: dict[str, Any] = {name: getattr(request, name) for name in recorded}
    if request.store is not None:
        recorded["store"], given["store"] = info["store"]["hash"], Store.open(request.store).hash
    for part, texts in (
        ("objective", request.objective_options),
        ("encoder", request.encoder_options),
    ):
        entry, _ = recorded_part(info, part, registry)
        for name, value in asdict(entry.options(texts)).items() if texts else ():
            if any(text.partition("=")[0].replace("-", "_") == name for text in texts):
                recorded[name], given[name] = info[part]["options"][name], value
    return [
        f"{name} {_plain(recorded[name])}, not {_plain(value)}"
        for name, value in given.items()
        if value is not None and _plain(value) != _plain(recorded[name])
    ]


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def recorded_part(info: Mapping[str, Any], kind: str, registry: Registry) -> tuple[Entry, Any]:
    """The objective or encoder that a run.json names, and its options."""
    recorded = info[kind]
    entry = registry.find("objective" if kind == "objective" else "encoder", recorded["name"])
    return entry, entry.options_from(recorded["options"])
