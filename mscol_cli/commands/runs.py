"""`mscol runs`: list, show, compare, verify and plot runs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from mscol_cli.commands import shared
from mscol_cli.commands.columns import GAP, aligned, fold_cells, split_to_fit, wrapped
from mscol_cli.commands.options import with_request
from mscol_cli.commands.shared import Json
from mscol_cli.commands.terminal import (
    print_folded,
    print_json,
    print_lines,
    print_result,
    terminal_width,
)
from mscol_cli.runs.request import PlotRequest
from mscol_cli.system.units import counted, format_bytes, format_duration

if TYPE_CHECKING:
    from mscol_cli.runs.listing import Comparison, RunDetails, RunSummary
    from mscol_cli.runs.verify import VerifyResult

MAX_NAME = 24
"""Characters of the name of a result in the list."""
LIST_HEADS = ("run", "objective", "encoder", "step", "loss", "accuracy", "probes", "state", "age")


class _ListsByDefault(TyperGroup):
    """Command group that runs `ls` by default: `mscol runs DIR` is `mscol runs ls DIR`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        named = args and (args[0] in self.commands or args[0] in ctx.help_option_names)
        return super().parse_args(ctx, args if named else ["ls", *args])


runs = typer.Typer(
    cls=_ListsByDefault, help="List runs, show, compare or verify them, or plot their curves."
)
Run = Annotated[str, typer.Argument(help="A run folder, or its name in runs/.", metavar="RUN")]
Runs = Annotated[
    list[str], typer.Argument(help="Run folders, or their names in runs/.", metavar="RUN...")
]


@runs.command()
def ls(
    folder: Annotated[
        Path | None, typer.Argument(help="A folder of runs. [default: runs]", metavar="DIR")
    ] = None,
    json: Json = False,
) -> None:
    """List runs, most recently written first (the default of 'mscol runs')."""
    from mscol_cli.runs.listing import list_runs

    summaries = list_runs(folder)
    if json:
        print_json(summaries)
    else:
        _print_list(summaries)


@runs.command()
def show(name: Run, json: Json = False) -> None:
    """Show one run: state, settings, last metrics, probe scores, checkpoints."""
    from mscol_cli.runs.listing import show_run

    details = show_run(name)
    if json:
        print_json(details)
    else:
        print_folded(*_format_run(details))


@runs.command()
def compare(
    names: Runs,
    everything: Annotated[
        bool,
        typer.Option("--all", help="Print all settings and software, not only differences."),
    ] = False,
    json: Json = False,
) -> None:
    """Compare runs: different settings and software, last metrics, scores."""
    from mscol_cli.runs.listing import compare_runs

    comparison = compare_runs(names, everything)
    if json:
        print_json(comparison)
    else:
        _print_comparison(comparison)


@runs.command()
def verify(name: Run, json: Json = False) -> None:
    """Verify the checksums of all checkpoints, and that settings, metrics and probe results can be
    read."""
    from mscol_cli.runs.verify import raise_if_damaged, run

    shared.verify(partial(run, name), raise_if_damaged, _format_verified, json)


@runs.command()
@with_request()
def plot(request: PlotRequest, json: Json = False) -> None:
    """Plot loss, accuracy, online probe, effective rank, ... with one line per run."""
    from mscol_cli.runs.plot import run

    result = run(request)
    line = f"{result.output}: {', '.join(result.metrics)} of {', '.join(result.runs)}"
    print_result(result, json, [line])


def _format_verified(result: VerifyResult) -> str:
    steps, files = len(result.checkpoints), counted(result.files, "file")
    unhashed = len(result.unhashed)
    note = f", {counted(unhashed, 'file')} can be read but have no checksum" if unhashed else ""
    return (
        f"{result.run}: {files} of {counted(steps, 'checkpoint')} match their checksums"
        f" ({format_bytes(result.bytes)}){note}"
    )


def _print_list(summaries: Sequence[RunSummary]) -> None:
    if not summaries:
        print_lines("no runs yet: 'mscol pretrain' creates one.")
        return
    rows = [
        (
            f"{run.name}{' (latest)' if run.latest else ''}",
            run.objective or "-",
            run.encoder or "-",
            _step(run, "/"),
            _number(run.loss),
            _number(run.accuracy),
            ", ".join(_scores(run)) or "-",
            run.state,
            format_duration(run.age_s),
        )
        for run in summaries
    ]
    lines, width = aligned([LIST_HEADS, *rows]), terminal_width()
    if width is not None and max(map(len, lines)) > width:
        lines = list(_cards(summaries, width))
    print_lines(*lines)
    print_folded(*_remarks(summaries))


def _cards(summaries: Sequence[RunSummary], width: int) -> Iterator[str]:
    """A few lines per run, for a terminal that is too narrow for the table."""
    for run in summaries:
        yield f"{run.name}{' (latest)' if run.latest else ''}"
        parts = [part for part in (run.state, run.objective, run.encoder) if part]
        parts += [f"step {_step(run, '/')}"] if run.step or run.steps else []
        parts += [f"loss {_number(run.loss)}"] if run.loss is not None else []
        parts += [f"accuracy {_number(run.accuracy)}"] if run.accuracy is not None else []
        yield from wrapped([*parts, *_scores(run), f"{format_duration(run.age_s)} ago"], width, GAP)


def _step(run: RunSummary, of: str) -> str:
    """The step, and that at which the run ends unless it is unknown."""
    return f"{run.step:,}{of}{run.steps:,}" if run.steps else f"{run.step:,}"


def _remarks(summaries: Sequence[RunSummary]) -> Iterator[str]:
    for run in summaries:
        if run.reason:
            yield f"{run.name} {run.state}: {run.reason}"
        yield from (f"{run.name} damaged: {problem}" for problem in run.problems)


def _scores(run: RunSummary) -> list[str]:
    """The main score of each task; `runs show` prints all scores."""
    scores = [f"{_short(name)} {value:.3f}" for name, value in run.headlines.items()]
    online = [f"{task} {value:.3f} (online)" for task, value in run.online.items()]
    more = len(run.probes) - len(run.headlines)
    return [*scores, *online, *([f"+{more} more"] if more else [])]


def _short(name: str) -> str:
    return name if len(name) <= MAX_NAME else f"{name[: MAX_NAME - 3]}..."


def _format_run(details: RunDetails) -> Iterator[str]:
    run = details.summary
    reason = f" ({run.reason})" if run.reason else ""
    yield f"{run.folder}: {run.state}{reason}, step {_step(run, ' of ')}"
    age = format_duration(run.age_s)
    steps = ", ".join(f"{step:,}" for step in details.checkpoints) or "none"
    yield f"last written {age} ago, checkpoints: {steps}"
    yield from (f"damaged: {problem}" for problem in run.problems)
    yield from _block("settings", {name: _plain(value) for name, value in details.settings.items()})
    yield from _block("software", {name: _plain(value) for name, value in details.software.items()})
    yield from _block("last metrics", {name: _number(v) for name, v in details.metrics.items()})
    scores = {
        f"{probe.name} {probe.metric}": f"{probe.value:.4f} [{probe.low:.4f}, {probe.high:.4f}] at"
        f" step {probe.step:,}"
        for probe in details.probes
    }
    yield from _block("probes, with 95 % intervals", scores)


def _block(title: str, rows: Mapping[str, str]) -> Iterator[str]:
    if rows:
        width = max(map(len, rows))
        yield f"{title}:"
        yield from (f"  {name:{width}}  {value}" for name, value in rows.items())


def _print_comparison(comparison: Comparison) -> None:
    parts: tuple[tuple[str, Mapping[str, Sequence[Any]], Callable[[Any], str]], ...] = (
        ("settings", comparison.settings, _short_hash),
        ("software", comparison.software, _short_hash),
        ("last metrics", comparison.metrics, _number),
        ("probes", comparison.probes, _number),
    )
    rows: list[Sequence[str]] = [("", *comparison.runs)]
    for title, values, form in parts:
        if values:
            rows.append((f"{title}:", *[""] * len(comparison.runs)))
            rows += [(f"  {name}", *map(form, row)) for name, row in values.items()]
    width = terminal_width()
    first, *others = split_to_fit(fold_cells(rows, width), width)
    print_lines(*aligned(first), *(line for part in others for line in ("", *aligned(part))))
    if not comparison.settings:
        print_lines("No setting differs.")


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def _plain(value: Any) -> str:
    if value is None:
        return "-"
    return ",".join(map(str, value)) or "(none named)" if isinstance(value, list) else str(value)


def _short_hash(value: Any) -> str:
    """A value, with git commits and SHA-256 hashes shortened to 12 digits."""
    return re.sub(r"\b([0-9a-f]{12})(?:[0-9a-f]{28}|[0-9a-f]{52})\b", r"\1", _plain(value))
