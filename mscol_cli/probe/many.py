"""`probe` of several tasks and models, joined into one table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import torch

from mscol_cli.contracts.progress import Progress
from mscol_cli.contracts.task import StemRetrieval, TaskData
from mscol_cli.engine.devices import pick_device
from mscol_cli.engine.models import Model, resolve_model
from mscol_cli.engine.references import UNTRAINED
from mscol_cli.errors import Interrupted, MissingDataError, MscolError, UsageError
from mscol_cli.host import Registry, load_registry
from mscol_cli.host.names import unknown_name
from mscol_cli.pages.render import page_markdown
from mscol_cli.probe.compare import Finished, join
from mscol_cli.probe.output import check_writable, default_output, why_unfinished
from mscol_cli.probe.request import ProbeOptions, ProbeRequest, TableRequest
from mscol_cli.probe.result import ProbeResult, read
from mscol_cli.probe.settings import (
    ProbeSettings,
    data_folder,
    load_data,
    refuse_classifier_options,
    resolve_settings,
)
from mscol_cli.probe.table import JointTable, joint_dict, joint_page
from mscol_cli.probe.tasks import data_hash
from mscol_cli.probe.workflow import probe_model
from mscol_cli.runs.layout import PROBES
from mscol_cli.system.files import write_json, write_text

DEFAULT_OUTPUT = Path(PROBES)


def one_per_task(request: TableRequest) -> list[ProbeRequest]:
    """Probes of the first model, one per task. Raises UsageError."""
    return list({probe.task: probe for probe in reversed(requests(request))}.values())[::-1]


def requests(request: TableRequest) -> list[ProbeRequest]:
    """All probes of a table, model after model. Raises UsageError."""
    folders = _data_folders(request)
    models: list[str | None] = [*dict.fromkeys(request.models)] or [None]
    if request.stems is not None and len(set(request.tasks)) > 1:
        raise UsageError("--stems takes one task: each of several tasks has the store DIR.store.")
    if request.encoder and UNTRAINED not in models:
        raise UsageError("--encoder goes with --model untrained; a trained model has its own.")
    names = {item.name for item in fields(ProbeOptions)} - {"encoder", "options"}
    common = {name: getattr(request, name) for name in names}
    return [
        ProbeRequest(
            task,
            folders.get(task),
            model,
            **common,
            encoder=request.encoder if model == UNTRAINED else None,
            options=_options_of(task, request),
        )
        for model in models
        for task in dict.fromkeys(request.tasks)
    ]


def run(request: TableRequest, progress: Progress) -> JointTable:
    """Probe every model on every task; a failed probe does not stop the others.

    Raises:
        UsageError: Unknown task or option, before anything is probed.
        MscolError: All probes failed; the error is that of the first one.
    """
    registry = load_registry()
    settings = {probe.task: resolve_settings(probe, registry) for probe in one_per_task(request)}
    if all(isinstance(item.task, StemRetrieval) for item in settings.values()):
        refuse_classifier_options(request, ", ".join(settings))
    output = request.output or DEFAULT_OUTPUT
    check_writable(output)
    runner = _Runner(registry, settings, pick_device(request.device), request.reuse, progress)
    finished = list(runner.finish(requests(request)))
    if not finished:
        raise runner.errors[0]
    table = join(finished)
    table = replace(table, failures=(*runner.failures, *table.failures), folder=output)
    write_text(table.markdown_path, page_markdown(joint_page(table)))
    write_json(table.json_path, joint_dict(table))
    return table


@dataclass
class _Runner:
    """Runs probes in sequence; keeps the last model, the data of every task, and the failures."""

    registry: Registry
    settings: dict[str, ProbeSettings]
    device: torch.device
    reuse: bool
    progress: Progress
    data: dict[str, tuple[Path, TaskData]] = field(default_factory=dict)
    model: tuple[str | None, Model] | None = None
    outputs: set[Path] = field(default_factory=set)
    errors: list[MscolError] = field(default_factory=list)
    failures: list[tuple[str, str]] = field(default_factory=list)

    def finish(self, probes: Sequence[ProbeRequest]) -> Iterator[Finished]:
        """Yield the results of all probes that did not fail."""
        for request in probes:
            name = f"{request.task} {request.model or 'default model'}"
            try:
                yield self._finish(request)
            except Interrupted:
                raise
            except MscolError as error:
                self.progress.end()
                self.progress.warn(f"{name}: {error}")
                self.errors.append(error)
                self.failures.append((name, str(error)))

    def _finish(self, request: ProbeRequest) -> Finished:
        model = self._load_model(request)
        settings = self.settings[request.task]
        output = self._output(request, model)
        requested = request.model or model.name
        data = data_folder(settings, request.data)
        if self.reuse and why_unfinished(output, settings, data, model.hash) is None:
            result = read(output)
            if not self._has_changed(request, result):
                self.progress.note(f"{request.task} {model.name}: reused from {output}")
                return Finished(requested, self._counted(result))
            self.progress.note(f"{request.task} {model.name}: the data have changed since {output}")
        self.progress.note(f"{request.task} {model.name}")
        check_writable(output)
        data_set = self._load_data(request)
        result = probe_model(settings, data_set, model, output, self.progress)
        return Finished(requested, self._counted(result))

    def _counted(self, result: ProbeResult) -> ProbeResult:
        """A result whose failed clips are counted, also if it was finished before."""
        self.failures += [(f"{result.task} {clip}", reason) for clip, reason in result.failures]
        return result

    def _load_model(self, request: ProbeRequest) -> Model:
        if self.model is None or self.model[0] != request.model:
            model = resolve_model(request.model, request.encoder, self.registry, self.device)
            self.progress.note(model.describe())
            self.model = request.model, model
        return self.model[1]

    def _load_data(self, request: ProbeRequest) -> tuple[Path, TaskData]:
        if request.task not in self.data:
            self.data[request.task] = load_data(self.settings[request.task], request.data)
        return self.data[request.task]

    def _has_changed(self, request: ProbeRequest, result: ProbeResult) -> bool:
        """Whether the data set is another than that of a result; not if it is gone, or unknown."""
        if not result.data_hash:
            return False
        try:
            _, data = self._load_data(request)
        except MissingDataError:
            return False
        return data_hash(data) != result.data_hash

    def _output(self, request: ProbeRequest, model: Model) -> Path:
        """The default output, with the step if another checkpoint of the run has taken it."""
        output = default_output(request, model)
        if output in self.outputs:
            output = output.with_name(f"{output.name}@{model.step}")
        self.outputs.add(output)
        return output


def _data_folders(request: TableRequest) -> dict[str, Path]:
    folders: dict[str, Path] = {}
    for argument in request.data:
        task, equals, folder = argument.partition("=")
        if equals and task in request.tasks:
            folders[task] = Path(folder)
        elif len(set(request.tasks)) == 1:
            folders[request.tasks[0]] = Path(argument)
        elif equals and "/" not in task:
            raise unknown_name("task among those to probe", task, request.tasks)
        else:
            raise UsageError(
                f"--data {argument} takes one task: with several, use --data TASK={argument}."
            )
    return folders


def _options_of(task: str, request: TableRequest) -> tuple[str, ...]:
    """Options without a task, and those of this task: `TASK.KEY=VALUE`."""
    others = tuple(f"{other}." for other in request.tasks if other != task)
    return tuple(option for option in request.options if not option.startswith(others))
