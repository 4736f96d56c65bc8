"""From a study to its stages, what is done and what is to do, and the record of its folder."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from mscol_cli import __version__
from mscol_cli.engine.models import UNTRAINED
from mscol_cli.errors import MissingDataError, UsageError
from mscol_cli.study.file import Study, StudyRun, StudyStore
from mscol_cli.study.music import MusicStage, SeparateStage
from mscol_cli.study.results import Probing, ReportStage, RunProbeStage, UntrainedProbeStage
from mscol_cli.study.stages import ComputeOptions, Stage, State, StudyPaths
from mscol_cli.study.training import PretrainStage
from mscol_cli.system.files import read_json, write_json
from mscol_cli.system.values import differences

Planned = State | Literal["not needed"]
Part = TypeVar("Part", StudyStore, StudyRun)
STUDY = "study.json"
WORDS = ("title",)
ABSENT = "not there"


@dataclass(frozen=True)
class PlannedStage:
    """A stage as the plan shows it.

    Attributes:
        name: Its kind, and what it is about.
        state: `done`, `to do`, `resume`, or `not needed` where all that would use it is done.
        note: How far it is.
        command: The line that runs it now; empty for music, which no command makes.
    """

    name: str
    state: Planned
    note: str
    command: str


def study_stages(study: Study, places: StudyPaths, where: ComputeOptions) -> list[Stage]:
    """The stages of a study, in an order in which they can be run."""
    made = ("music",) if study.songs is not None else ()
    stores = {
        name: SeparateStage(_with_recipe(store, study.recipe), places.data, where, made)
        for name, store in study.stores.items()
    }
    runs = [
        PretrainStage(
            _with_recipe(run, study.recipe),
            stores[run.store].path,
            places,
            where,
            stores[run.store].name,
            study.online_probe,
        )
        for run in study.runs.values()
    ]
    stages: list[Stage] = [MusicStage(places.data, study.songs)] if study.songs is not None else []
    stages += [*stores.values(), *runs, *_probes(study, runs, places, where, made)]
    if places.report is not None:
        needs = [stage.name for stage in stages if not stage.means]
        title = study.title or study.name
        stages.append(ReportStage(title, places.runs, places.report, needs))
    return stages


def make_plan(stages: Sequence[Stage]) -> list[PlannedStage]:
    """How far every stage is. Raises UsageError for an output that was made otherwise."""
    statuses = {stage.name: stage.status() for stage in stages}
    states: dict[str, Planned] = {name: status.state for name, status in statuses.items()}
    for stage in reversed(stages):
        users = [states[other.name] for other in stages if stage.name in other.needs]
        if stage.means and not set(users) & {"to do", "resume"} and states[stage.name] != "done":
            states[stage.name] = "not needed"
    return [
        PlannedStage(stage.name, states[stage.name], statuses[stage.name].note, command_line(stage))
        for stage in stages
    ]


def command_line(stage: Stage) -> str:
    """What runs a stage now."""
    return shlex.join(["mscol", *stage.command()]) if stage.command() else ""


def missing_data(stages: Sequence[Stage], plan: Sequence[PlannedStage]) -> list[str]:
    """What has to be there before the chain starts, and is not: each once."""
    lines = (
        line
        for stage, planned in zip(stages, plan, strict=True)
        if planned.state in ("to do", "resume")
        for line in stage.missing()
    )
    return list(dict.fromkeys(lines))


def require_data(stages: Sequence[Stage], plan: Sequence[PlannedStage]) -> None:
    """Raise MissingDataError, with all that is missing, unless everything is there."""
    if lines := missing_data(stages, plan):
        raise MissingDataError(
            f"nothing is started, for something is missing: {'; '.join(lines)}. Then run the same"
            " line again."
        )


def _probes(
    study: Study,
    runs: Sequence[PretrainStage],
    places: StudyPaths,
    where: ComputeOptions,
    made: tuple[str, ...],
) -> Iterator[Stage]:
    for task in study.tasks:
        probing = Probing(task, study.recipe, study.seeds, places, where)
        for run in runs:
            yield RunProbeStage(run.folder, probing, (*made, run.name))
        for encoder in study.untrained:
            folder = places.probes / UNTRAINED / (encoder if len(study.untrained) > 1 else "")
            yield UntrainedProbeStage(encoder, folder, probing, made)


def _with_recipe(part: Part, recipe: str | None) -> Part:
    """A part under the study's recipe, unless it names its own."""
    settings: Mapping[str, object] = {"recipe": recipe, **part.settings}
    stated = {name: value for name, value in settings.items() if value is not None}
    return replace(part, settings=stated)


def check_record(folder: Path, study: Study, begun: bool) -> None:
    """Refuse a folder in which another study has finished or begun stages.

    Raises:
        UsageError: The study's file has changed since; the message says where.
    """
    path = folder / STUDY
    if not path.is_file():
        return
    begun_with = read_json(path, "study").get("study", {})
    changed = [
        f"{name} was {_stated(old)}, now {_stated(new)}"
        for name, old, new in differences(begun_with, study.content)
        if name not in WORDS
    ]
    if changed and begun:
        raise UsageError(
            f"{folder} was begun with another study: {'; '.join(changed)}. Undo the change, or"
            " choose another -o."
        )


def write_record(folder: Path, study: Study) -> None:
    """Note which study the folder belongs to."""
    content = {"mscol": __version__, "name": study.name, "study": dict(study.content)}
    write_json(folder / STUDY, content)


def _stated(value: Any) -> Any:
    return ABSENT if value is None else value
