"""The stage that pre-trains one run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mscol_cli.errors import MscolError, UsageError
from mscol_cli.host import load_registry
from mscol_cli.pretrain.request import PretrainRequest
from mscol_cli.pretrain.settings import RunSettings, resolve_settings
from mscol_cli.pretrain.train_split import ALL_TRACKS
from mscol_cli.probe.tasks import DATA
from mscol_cli.recipes.options import PRETRAIN, named
from mscol_cli.runs.checkpoint import latest_checkpoint
from mscol_cli.runs.layout import RUN, read_run
from mscol_cli.runs.state import FAILED, read_state
from mscol_cli.store import StoreHeader
from mscol_cli.study.file import StudyRun
from mscol_cli.study.stages import (
    ComputeOptions,
    Stage,
    Status,
    StudyPaths,
    words,
)
from mscol_cli.system.values import format_differences


class PretrainStage(Stage):
    """A run with a checkpoint at its last update."""

    def __init__(
        self,
        run: StudyRun,
        store: Path,
        places: StudyPaths,
        where: ComputeOptions,
        needs: str,
        online_probe: tuple[int, str] | None,
    ) -> None:
        self.name, self.needs = f"pretrain {run.name}", (needs,)
        self.folder = places.runs / run.name
        self._store, self._run, self._where = store, run, where
        self._settings = _settings(run, places)
        self._online = _online(online_probe, places)

    def status(self) -> Status:
        """Done when the last update has a checkpoint."""
        if not (self.folder / RUN).exists():
            return Status("to do")
        info = read_run(self.folder)
        self._check(info)
        found = latest_checkpoint(self.folder)
        step, steps = found.step if found else 0, info["training"]["steps"]
        note = f"{step:,} of {steps:,} updates{_stopped(self.folder)}"
        return Status("done" if step >= steps else "resume", note)

    def command(self) -> list[str]:
        """To start, or to go on."""
        where = self._where.words(many=True)
        if (self.folder / RUN).exists():
            return ["pretrain", "--resume", "-o", str(self.folder), *where]
        options = [word for option in self._run.options for word in ("--opt", option)]
        keys = {item.name: item.key for item in PRETRAIN}
        settings = {keys.get(name, name): value for name, value in self._settings.items()}
        asked = [*words(settings), *options, *self._online, *where]
        return ["pretrain", str(self._store), *asked, "-o", str(self.folder)]

    def resolve(self) -> RunSettings:
        """The run's settings, every default and recipe resolved. Raises UsageError."""
        given = dict(self._settings)
        recipe = given.pop("recipe", None)
        request = PretrainRequest(given, recipe=recipe, objective_options=self._run.options)
        return resolve_settings(request, load_registry())

    def _check(self, info: Mapping[str, Any]) -> None:
        if "training" not in info:
            raise UsageError(f"{self.folder} was imported, and is no run of this study: move it.")
        found = format_differences(_comparable(info), _comparable(self.resolve().describe()))
        found += self._store_differs(info)
        if found:
            raise UsageError(
                f"{self.folder} was started otherwise: {'; '.join(found)}. Move it away, or choose"
                " another -o."
            )

    def _store_differs(self, info: Mapping[str, Any]) -> list[str]:
        """A store may be gone once it is learned from; one that is there has to be the same."""
        try:
            header = StoreHeader.read(self._store)
        except MscolError:
            return []
        made, now = info["store"]["hash"], header.hash
        return (
            [f"its store is {made[:12]}, not {now[:12]}"] if header.sealed and made != now else []
        )


def _stopped(run: Path) -> str:
    """Why a run stopped that did not finish and was not interrupted."""
    found = read_state(run)
    return f", failed: {found.reason}" if found is not None and found.state == FAILED else ""


def _settings(run: StudyRun, places: StudyPaths) -> dict[str, Any]:
    settings = dict(run.settings)
    split = settings.get("train_split", ALL_TRACKS)
    if places.data != DATA and split != ALL_TRACKS and "=" not in split:
        settings["train_split"] = f"{split}={places.task_data(split)}"
    return settings


def _online(probe: tuple[int, str] | None, places: StudyPaths) -> list[str]:
    if probe is None:
        return []
    every, task = probe
    data = "" if places.data == DATA else f"={places.task_data(task)}"
    return ["--probe-every", str(every), f"{task}{data}"]


def _comparable(info: Mapping[str, Any]) -> dict[str, Any]:
    """What decides a run's result, of a run.json."""
    free = named("saving", "where")
    training = {name: value for name, value in info["training"].items() if name not in free}
    objective = info["objective"]
    return {
        "objective": objective["name"],
        **{part["name"]: part["options"] for part in objective["parts"]},
        "encoder": info["encoder"]["name"],
        info["encoder"]["name"]: info["encoder"]["options"],
        "train_split": info["train_split"],
        **training,
    }
