"""Stages of a study, the plan of what to run, and the record in its folder."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from mscol_cli import __version__
from mscol_cli.engine.references import LOGMEL, UNTRAINED
from mscol_cli.errors import MissingDataError, UsageError
from mscol_cli.runs.layout import RUN
from mscol_cli.study.file import Study, StudyRun, StudyStore
from mscol_cli.study.music import MusicStage, SeparateStage
from mscol_cli.study.results import (
    ProbeStage,
    Probing,
    ReportStage,
    model_of_run,
    model_without_run,
)
from mscol_cli.study.stages import ComputeOptions, Stage, State, StudyPaths
from mscol_cli.study.training import PretrainStage
from mscol_cli.system.files import write_json
from mscol_cli.system.json_files import read_json
from mscol_cli.system.values import differences

Planned = State | Literal["not needed"]
Part = TypeVar("Part", StudyStore, StudyRun)
STUDY = "study.json"
WORDS = ("title",)
ABSENT = "missing"
STAGES = {"runs": "pretrain", "stores": "separate"}
"""First word of the names of the stages of a table."""


@dataclass(frozen=True)
class PlannedStage:
    """A stage in the plan.

    Attributes:
        name: Name of the stage.
        state: `done`, `to do`, `resume`, or `not needed` if all stages that use it are done.
        note: Progress of the stage.
        command: Command line to run; empty for synthetic music.
    """

    name: str
    state: Planned
    note: str
    command: str


def study_stages(study: Study, paths: StudyPaths, compute: ComputeOptions) -> list[Stage]:
    """Create the stages of a study, in order of execution."""
    music = ("music",) if study.songs is not None else ()
    stores = {
        name: SeparateStage(_with_recipe(store, study.recipe), paths.data, compute, music)
        for name, store in study.stores.items()
    }
    runs = [
        PretrainStage(
            _with_recipe(run, study.recipe),
            stores[run.store].path,
            paths,
            compute,
            stores[run.store].name,
            study.online_probe,
        )
        for run in study.runs.values()
    ]
    stages: list[Stage] = [MusicStage(paths.data, study.songs)] if study.songs is not None else []
    stages += [*stores.values(), *runs, *_probes(study, runs, paths, compute, music)]
    if paths.report is not None:
        needs = [stage.name for stage in stages if not stage.is_intermediate]
        title = study.title or study.name
        stages.append(ReportStage(title, paths.runs, paths.report, needs))
    return stages


def make_plan(stages: Sequence[Stage]) -> list[PlannedStage]:
    """Plan all stages.

    Raises:
        UsageError: A setting of a run is invalid, or an output was made with other settings.
        MissingDataError: A recipe of a run does not exist.
    """
    for stage in stages:
        if isinstance(stage, PretrainStage):
            stage.check()
    statuses = {stage.name: stage.status() for stage in stages}
    states: dict[str, Planned] = {name: status.state for name, status in statuses.items()}
    for stage in reversed(stages):
        users = [states[other.name] for other in stages if stage.name in other.needs]
        if (
            stage.is_intermediate
            and not set(users) & {"to do", "resume"}
            and states[stage.name] != "done"
        ):
            states[stage.name] = "not needed"
    return [
        PlannedStage(stage.name, states[stage.name], statuses[stage.name].note, command_line(stage))
        for stage in stages
    ]


def command_line(stage: Stage) -> str:
    """Command line that runs a stage."""
    return shlex.join(["mscol", *stage.command()]) if stage.command() else ""


def missing_data(stages: Sequence[Stage], plan: Sequence[PlannedStage]) -> list[str]:
    """List the missing inputs of all stages to run, without duplicates."""
    lines = (
        line
        for stage, planned in zip(stages, plan, strict=True)
        if planned.state in ("to do", "resume")
        for line in stage.missing()
    )
    return list(dict.fromkeys(lines))


def require_data(stages: Sequence[Stage], plan: Sequence[PlannedStage]) -> None:
    """Raise MissingDataError, with a list, if inputs are missing."""
    if lines := missing_data(stages, plan):
        raise MissingDataError(
            f"nothing was started, because data is missing: {'; '.join(lines)}. Then run the same"
            " command again."
        )


def _probes(
    study: Study,
    runs: Sequence[PretrainStage],
    paths: StudyPaths,
    compute: ComputeOptions,
    music: tuple[str, ...],
) -> Iterator[Stage]:
    for task in study.tasks:
        probing = Probing(task, study.recipe, study.seeds, paths, compute)
        for run in runs:
            yield ProbeStage(model_of_run(run.folder), probing, (*music, run.name))
        for encoder in study.untrained:
            folder = _folder_without_run(paths.probes, encoder, study.untrained)
            yield ProbeStage(model_without_run(encoder, folder), probing, music)


def _folder_without_run(probes: Path, encoder: str, encoders: Sequence[str]) -> Path:
    if encoder == LOGMEL:
        return probes / LOGMEL
    several = len(set(encoders) - {LOGMEL}) > 1
    return probes / UNTRAINED / (encoder if several else "")


def _with_recipe(part: Part, recipe: str | None) -> Part:
    """Set the study's recipe, unless the part has its own."""
    settings: Mapping[str, object] = {"recipe": recipe, **part.settings}
    known = {name: value for name, value in settings.items() if value is not None}
    return replace(part, settings=known)


def check_record(folder: Path, study: Study, stages: Sequence[Stage], begun: bool) -> None:
    """Check that a folder belongs to a study. Runs and stores may be added or left out, and those
    that do not exist yet may change.

    Raises:
        UsageError: The study has changed since its first stage began; the message has the changes.
    """
    path = folder / STUDY
    if not path.is_file():
        return
    recorded = read_json(path, "study").get("study")
    if not isinstance(recorded, dict):
        raise UsageError(f"{path} is damaged (no study): restore or delete it.")
    existing = _existing(stages)
    changed = [
        f"{name} was {_value(old)}, now {_value(new)}"
        for name, old, new in differences(recorded, study.content)
        if name not in WORDS and _is_compared(name, recorded, existing)
    ]
    if changed and begun:
        raise UsageError(
            f"{folder} belongs to another study: {'; '.join(changed)}. Undo the change, or"
            " choose another -o."
        )


def _existing(stages: Sequence[Stage]) -> set[str]:
    """Names of the stages whose run or store exists, and of those that such a run was made from: a
    store may be deleted after training."""
    stores = [stage for stage in stages if isinstance(stage, SeparateStage)]
    runs = [stage for stage in stages if isinstance(stage, PretrainStage)]
    begun = [run for run in runs if (run.folder / RUN).exists()]
    return {
        *(store.name for store in stores if store.path.exists()),
        *(name for run in begun for name in (run.name, *run.needs)),
    }


def _is_compared(name: str, recorded: Mapping[str, Any], existing: set[str]) -> bool:
    """Whether a setting must not change. One of a run or a store may, unless it exists."""
    table, _, rest = name.partition(".")
    if table not in STAGES:
        return True
    part = rest.rpartition(".")[0]
    return part in recorded.get(table, {}) and f"{STAGES[table]} {part}" in existing


def write_record(folder: Path, study: Study) -> None:
    """Record the study of a folder."""
    content = {"mscol": __version__, "name": study.name, "study": dict(study.content)}
    write_json(folder / STUDY, content)


def _value(value: Any) -> Any:
    return ABSENT if value is None else value
