"""Stage that pre-trains a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mscol_cli.errors import MissingDataError, MscolError, UsageError
from mscol_cli.host import load_registry
from mscol_cli.pretrain.request import PretrainRequest
from mscol_cli.pretrain.settings import RunSettings, resolve_settings
from mscol_cli.pretrain.train_split import ALL_TRACKS
from mscol_cli.recipes.options import PRETRAIN, named
from mscol_cli.runs.checkpoint import latest_checkpoint
from mscol_cli.runs.layout import RUN, read_run
from mscol_cli.runs.state import FAILED, read_state
from mscol_cli.store import StoreHeader
from mscol_cli.study.file import StudyRun
from mscol_cli.study.stages import ComputeOptions, Stage, Status, StudyPaths, words
from mscol_cli.system.values import format_differences


class PretrainStage(Stage):
    """Pre-training of a run."""

    def __init__(
        self,
        run: StudyRun,
        store: Path,
        paths: StudyPaths,
        compute: ComputeOptions,
        needs: str,
        online_probe: tuple[int, str] | None,
    ) -> None:
        self.name, self.needs = f"pretrain {run.name}", (needs,)
        self.folder = paths.runs / run.name
        self._store, self._run, self._compute = store, run, compute
        self._settings = _settings(run, paths)
        self._online = _online(online_probe, paths)

    def status(self) -> Status:
        """Done if there is a checkpoint of the last training step."""
        if not (self.folder / RUN).exists():
            return Status("to do")
        info = read_run(self.folder)
        self._check(info)
        checkpoint = latest_checkpoint(self.folder)
        step, steps = checkpoint.step if checkpoint else 0, info["training"]["steps"]
        note = f"{step:,} of {steps:,} updates{_stopped(self.folder)}"
        # A run of 0 steps has a checkpoint, too: of the initial weights.
        return Status("done" if checkpoint and step >= steps else "resume", note)

    def check(self) -> None:
        """Check the settings of a run that does not exist yet. Raises UsageError."""
        if (self.folder / RUN).exists():
            return
        try:
            self.resolve()
        except UsageError as error:
            raise UsageError(f"{self.name}: {error}") from error
        except MissingDataError:
            if "init" not in self._settings:  # an earlier stage may train the initial weights
                raise

    def command(self) -> list[str]:
        """Command that starts or resumes the run."""
        compute = self._compute.words(many=True)
        if (self.folder / RUN).exists():
            return ["pretrain", "--resume", "-o", str(self.folder), *compute]
        keys = {item.name: item.key for item in PRETRAIN}
        settings = {keys.get(name, name): value for name, value in self._settings.items()}
        options = [*words(settings, self._run.options), *self._online, *compute]
        return ["pretrain", str(self._store), *options, "-o", str(self.folder)]

    def resolve(self) -> RunSettings:
        """Resolve the settings of the run. Raises UsageError."""
        settings = dict(self._settings)
        recipe = settings.pop("recipe", None)
        request = PretrainRequest(settings, recipe=recipe, objective_options=self._run.options)
        return resolve_settings(request, load_registry())

    def _check(self, info: Mapping[str, Any]) -> None:
        if "training" not in info:
            raise UsageError(f"{self.folder} was imported and is not part of this study: move it.")
        wanted = self.resolve()
        made = _comparable(info)
        for part in (*wanted.objective, wanted.encoder):
            # Options that are newer than the run have the defaults that it was trained with.
            if part.name in made:
                made[part.name] = {**asdict(type(part.options)()), **made[part.name]}
        changed = format_differences(made, _comparable(wanted.describe()))
        changed += self._store_differs(info)
        if changed:
            raise UsageError(
                f"{self.folder} was started with other settings: {'; '.join(changed)}. Move it"
                " away, or choose another -o."
            )

    def _store_differs(self, info: Mapping[str, Any]) -> list[str]:
        """Difference between the stores; a store may be deleted after training."""
        try:
            header = StoreHeader.read(self._store)
        except MscolError:
            return []
        old, new = info["store"]["hash"], header.hash
        return [f"its store is {old[:12]}, not {new[:12]}"] if header.sealed and old != new else []


def _stopped(run: Path) -> str:
    """Reason of the failure of a run, as a suffix."""
    state = read_state(run)
    return f", failed: {state.reason}" if state is not None and state.state == FAILED else ""


def _settings(run: StudyRun, paths: StudyPaths) -> dict[str, Any]:
    settings = dict(run.settings)
    split = settings.get("train_split", ALL_TRACKS)
    if split != ALL_TRACKS and "=" not in split:
        settings["train_split"] = paths.task_argument(split)
    return settings


def _online(probe: tuple[int, str] | None, paths: StudyPaths) -> list[str]:
    if probe is None:
        return []
    every, task = probe
    return ["--probe-every", str(every), paths.task_argument(task)]


def _comparable(info: Mapping[str, Any]) -> dict[str, Any]:
    """Settings in a run.json that determine the result."""
    free = named("saving", "where")
    training = {name: value for name, value in info["training"].items() if name not in free}
    objective = info["objective"]
    return {
        "objective": objective["name"],
        **{part["name"]: part["options"] for part in objective["parts"]},
        "encoder": info["encoder"]["name"],
        info["encoder"]["name"]: info["encoder"]["options"],
        "init": info.get("init", {}).get("reference", ""),
        "train_split": info["train_split"],
        **training,
    }
