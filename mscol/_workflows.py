"""The commands `separate`, `pretrain` and `probe` as functions."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mscol._isolation import isolated
from mscol._options import Options, ProbeOptions, StrPath
from mscol._progress import CallbackProgress, ProgressCallback
from mscol_cli.audio.corruption import RANGES
from mscol_cli.pretrain import workflow as pretraining
from mscol_cli.pretrain.finished import PretrainResult
from mscol_cli.pretrain.request import PretrainRequest
from mscol_cli.probe import many
from mscol_cli.probe import workflow as probing
from mscol_cli.probe.request import ProbeRequest, TableRequest
from mscol_cli.probe.result import ProbeResult
from mscol_cli.probe.table import JointTable
from mscol_cli.recipes.options import PretrainOptions
from mscol_cli.separate import workflow as separation
from mscol_cli.separate.request import SeparateRequest
from mscol_cli.separate.workflow import SeparateResult

if TYPE_CHECKING:
    from typing_extensions import Unpack


def separate(
    inputs: StrPath | Sequence[StrPath],
    output: StrPath | None = None,
    *,
    separator: str | None = None,
    model: StrPath | None = None,
    options: Options | None = None,
    recipe: StrPath | None = None,
    export: str | None = None,
    export_dir: StrPath | None = None,
    offline: bool = False,
    jobs: int | None = None,
    gpus: int | None = None,
    retry_failed: bool = False,
    device: str = "auto",
    precision: str = "fp32",
    progress: ProgressCallback | None = None,
) -> SeparateResult:
    """Separate music into sources and write them to a store, as `mscol separate` does.

    Args:
        inputs: An audio file or a folder to search, or several.
        output: The store; None for `DIR.store` beside the only input folder.
        separator: Name of the separator; None for that of the recipe, or `openunmix`.
        model: Weights: a name known to the separator, or a path.
        options: Options of the separator.
        recipe: Name or file of a recipe.
        export: Format of listening copies, `flac`, `wav` or `ogg`; None writes none.
        export_dir: Folder of the copies; None for `X-stems` beside `X.store`.
        offline: Never download weights.
        jobs: Number of processes that share the work on this machine.
        gpus: Number of processes, each with its own GPU.
        retry_failed: Retry only inputs that failed in an earlier run.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        precision: `fp32`, `bf16`, `fp16` or `auto`, for the networks of Open-Unmix.
        progress: Called with every `ProgressUpdate`.

    Returns:
        The store and what is in it; `failures` has every input that was skipped, with the reason.

    Raises:
        UsageError: An option is invalid, or the store was made with other settings.
        MissingDataError: The inputs or the weights do not exist.
        BadInputError: No input could be used.
        Interrupted: Stopped by Ctrl-C; the same call resumes.
    """
    request = SeparateRequest(
        inputs=tuple(Path(path) for path in _each(inputs)),
        output=_path(output),
        separator=separator,
        model=_text(model),
        device=device,
        precision=precision,
        options=_assignments(options),
        recipe=_text(recipe),
        export=export,
        export_dir=_path(export_dir),
        offline=offline,
        jobs=jobs,
        gpus=gpus,
        retry_failed=retry_failed,
    )
    with isolated():
        return separation.run(request, CallbackProgress(progress))


def pretrain(
    store: StrPath | None = None,
    *,
    recipe: StrPath | None = None,
    stems: Sequence[str] | None = None,
    objective_options: Options | None = None,
    encoder_options: Options | None = None,
    probe_every: tuple[int, str] | None = None,
    gpus: int | None = None,
    processes: int | None = None,
    output: StrPath | None = None,
    resume: bool = False,
    progress: ProgressCallback | None = None,
    **options: Unpack[PretrainOptions],
) -> PretrainResult:
    """Pre-train an encoder on a store, as `mscol pretrain` does.

    Args:
        store: A sealed store; None for the newest one under `data/`.
        recipe: Name or file of a recipe.
        stems: Sources to learn from, for objectives with this option.
        objective_options: Options of the objective.
        encoder_options: Options of the encoder.
        probe_every: Steps between two scores of an online probe, and its TASK or TASK=DIR.
        gpus: Number of processes with one GPU each.
        processes: Number of processes; with `device="cpu"` on the CPU.
        output: Run folder; None creates the next one under `runs/`, or resumes `runs/latest`.
        resume: Continue a run instead of starting one.
        progress: Called with every `ProgressUpdate`.
        **options: `objective`, `steps`, `batch_size` and others, see `PretrainOptions`. An
            objective is required, unless a recipe sets it, or with `resume`.

    Returns:
        The run. Only the first process of torchrun or srun knows loss and accuracy.

    Raises:
        TypeError: An unknown option.
        UsageError: A name, option or number is invalid.
        MissingDataError: The store or the run to resume does not exist.
        Interrupted: Stopped by Ctrl-C in the main thread; saved, and `resume=True` continues.
        MscolError: Training failed; the last checkpoint is kept.
    """
    _check_names("pretrain", options, PretrainOptions.__annotations__)
    request = PretrainRequest(
        {name: value for name, value in options.items() if value is not None},
        store=_path(store),
        recipe=_text(recipe),
        stems=",".join(stems) if stems is not None else None,
        objective_options=_assignments(objective_options),
        encoder_options=_assignments(encoder_options),
        probe_every=probe_every,
        gpus=gpus,
        processes=processes,
        run=_path(output),
        resume=resume,
    )
    with isolated():
        return pretraining.run(request, CallbackProgress(progress))


def probe(
    task: str,
    model: StrPath | None = None,
    *,
    data: StrPath | None = None,
    output: StrPath | None = None,
    progress: ProgressCallback | None = None,
    **options: Unpack[ProbeOptions],
) -> ProbeResult:
    """Score a frozen encoder with shallow classifiers, as `mscol probe TASK` does.

    Args:
        task: Name of the task.
        model: A model, as for `mscol.load`; None for `runs/latest`, or `mini` if it does not exist.
        data: Folder of the data set; None for `data/TASK`.
        output: Folder of the report; None for `RUN/probes/TASK`.
        progress: Called with every `ProgressUpdate`.
        **options: See `ProbeOptions`.

    Returns:
        The scores with their intervals; `failures` has every clip that was skipped.

    Raises:
        TypeError: An unknown option.
        UsageError: Unknown task or model, or an option out of range.
        MissingDataError: The data set does not exist, or a split has no usable clip.
    """
    request = ProbeRequest(
        task, _path(data), _text(model), _path(output), **_probe_options(options)
    )
    with isolated():
        return probing.run(request, CallbackProgress(progress))


def probe_table(
    tasks: Sequence[str],
    models: Sequence[StrPath] = (),
    *,
    data: Mapping[str, StrPath] | None = None,
    output: StrPath | None = None,
    reuse: bool = False,
    progress: ProgressCallback | None = None,
    **options: Unpack[ProbeOptions],
) -> JointTable:
    """Probe several models on several tasks, as `mscol probe` does with several.

    Args:
        tasks: Names of tasks.
        models: Models, each as for `probe`; empty for `runs/latest`.
        data: Folders of data sets, by task; `data/TASK` for others.
        output: Folder of the table; None for `probes`.
        reuse: Reuse existing results of the same model and settings.
        progress: Called with every `ProgressUpdate`.
        **options: See `ProbeOptions`; options of one task are named `TASK.NAME`.

    Returns:
        The scores, and the differences between models; `failures` has failed probes and clips.

    Raises:
        TypeError: An unknown option.
        UsageError: Unknown task or option.
        MscolError: All probes failed; the error is that of the first one.
    """
    if not tasks or isinstance(tasks, str):
        raise TypeError("probe_table() takes a sequence of task names")
    request = TableRequest(
        tuple(tasks),
        tuple(f"{task}={os.fspath(folder)}" for task, folder in (data or {}).items()),
        tuple(os.fspath(model) for model in _each(models)),
        _path(output),
        reuse,
        **_probe_options(options),
    )
    with isolated():
        return many.run(request, CallbackProgress(progress))


def _probe_options(options: ProbeOptions) -> dict[str, Any]:
    """The fields of a request, from options as callers write them."""
    _check_names("probe", options, ProbeOptions.__annotations__)
    given: Mapping[str, Any] = options
    return {
        **given,
        **{name: _assignments(given.get(name)) for name in ("options", "protocol")},
        **{name: tuple(given.get(name) or ()) for name in ("label_fractions", *RANGES)},
        "recipe": _text(given.get("recipe")),
        "stems": _path(given.get("stems")),
    }


def _check_names(function: str, options: Mapping[str, Any], known: Iterable[str]) -> None:
    unknown = options.keys() - set(known)
    if unknown:
        raise TypeError(f"{function}() got an unexpected keyword argument '{min(unknown)}'")


def _each(paths: StrPath | Sequence[StrPath]) -> Sequence[StrPath]:
    return [paths] if isinstance(paths, (str, os.PathLike)) else paths


def _path(path: StrPath | None) -> Path | None:
    return None if path is None else Path(path)


def _text(path: StrPath | None) -> str | None:
    return None if path is None else os.fspath(path)


def _assignments(options: Options | None) -> tuple[str, ...]:
    """Options as `KEY=VALUE`, which the host parses and checks."""
    return tuple(f"{name}={_format(value)}" for name, value in (options or {}).items())


def _format(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
