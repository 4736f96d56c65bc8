"""`mscol runs`: list runs, look at one, compare several, draw their curves."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from mscol_cli.commands.columns import GAP, aligned, fold_cells, split_to_fit, wrapped
from mscol_cli.commands.shared import Json
from mscol_cli.commands.terminal import print_folded, print_json, print_lines, room
from mscol_cli.system.units import format_duration

if TYPE_CHECKING:
    from mscol_cli.runs.listing import Comparison, RunDetails, RunSummary

LONGEST = 24
"""Characters of the name of a result in the list."""
LIST_HEADS = ("run", "objective", "encoder", "step", "loss", "accuracy", "probes", "state", "age")


class _ListsByDefault(TyperGroup):
    """`mscol runs DIR` is `mscol runs ls DIR`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        named = args and (args[0] in self.commands or args[0] in ctx.help_option_names)
        return super().parse_args(ctx, args if named else ["ls", *args])


runs = typer.Typer(
    cls=_ListsByDefault, help="List runs, look at one, compare several, or draw their curves."
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
    """List runs, the one that was written to last first: this is what 'mscol runs' does."""
    from mscol_cli.runs.listing import list_runs

    found = list_runs(folder)
    if json:
        print_json([vars(run) for run in found])
    else:
        _print_list(found)


@runs.command()
def show(name: Run, json: Json = False) -> None:
    """Say all of one run: state, settings, last metrics, probe scores, checkpoints."""
    from mscol_cli.runs.listing import show_run

    found = show_run(name)
    if json:
        print_json(found)
    else:
        print_folded(*_format_run(found))


@runs.command()
def compare(
    names: Runs,
    everything: Annotated[
        bool, typer.Option("--all", help="All settings and software, not only what differs.")
    ] = False,
    json: Json = False,
) -> None:
    """Print runs side by side: settings that differ, software that does, last metrics, scores."""
    from mscol_cli.runs.listing import compare_runs

    found = compare_runs(names, everything)
    if json:
        print_json(found)
    else:
        _print_comparison(found)


@runs.command()
def plot(
    names: Runs,
    output: Annotated[
        Path, typer.Option("-o", "--output", help="A .png, .pdf or .svg file.", metavar="FILE")
    ],
    x: Annotated[str, typer.Option(help="What runs along.", metavar="steps|hours|pairs")] = "steps",
    metric: Annotated[
        list[str] | None,
        typer.Option(
            help="Draw this metric of metrics.jsonl; repeat it for more. [default: the usual ones]",
            metavar="NAME",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Draw loss, accuracy, online probe, effective rank, ... one line per run."""
    from mscol_cli.runs.plot import PlotRequest, run

    result = run(PlotRequest(names, output, x, tuple(metric or ())))
    if json:
        print_json(result)
    else:
        print_lines(f"{result.output}: {', '.join(result.metrics)} of {', '.join(result.runs)}")


def _print_list(found: Sequence[RunSummary]) -> None:
    if not found:
        print_lines("no runs yet: 'mscol pretrain' makes one.")
        return
    rows = [
        (
            f"{run.name}{' (latest)' if run.latest else ''}",
            run.objective or "-",
            run.encoder or "-",
            f"{run.step:,}/{run.steps:,}",
            _number(run.loss),
            _number(run.accuracy),
            ", ".join(_scores(run)) or "-",
            run.state,
            format_duration(run.age_s),
        )
        for run in found
    ]
    lines, width = aligned([LIST_HEADS, *rows]), room()
    if width is not None and max(map(len, lines)) > width:
        lines = list(_cards(found, width))
    print_lines(*lines)
    print_folded(*_remarks(found))


def _cards(found: Sequence[RunSummary], width: int) -> Iterator[str]:
    """Runs as a few lines each, where a terminal is too narrow for the table."""
    for run in found:
        yield f"{run.name}{' (latest)' if run.latest else ''}"
        parts = [part for part in (run.state, run.objective, run.encoder) if part]
        parts += [f"step {run.step:,}/{run.steps:,}"] if run.steps else []
        parts += [f"loss {_number(run.loss)}"] if run.loss is not None else []
        parts += [f"accuracy {_number(run.accuracy)}"] if run.accuracy is not None else []
        yield from wrapped([*parts, *_scores(run), f"{format_duration(run.age_s)} ago"], width, GAP)


def _remarks(found: Sequence[RunSummary]) -> Iterator[str]:
    for run in found:
        if run.reason:
            yield f"{run.name} {run.state}: {run.reason}"
        yield from (f"{run.name} damaged: {problem}" for problem in run.problems)


def _scores(run: RunSummary) -> list[str]:
    """The main score of each task; `runs show` has all."""
    scores = [f"{_short(name)} {value:.3f}" for name, value in run.headlines.items()]
    online = [f"{task} {value:.3f} (online)" for task, value in run.online.items()]
    more = len(run.probes) - len(run.headlines)
    return [*scores, *online, *([f"+{more} more"] if more else [])]


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 3]}..."


def _format_run(found: RunDetails) -> Iterator[str]:
    run = found.summary
    reason = f" ({run.reason})" if run.reason else ""
    yield f"{run.folder}: {run.state}{reason}, step {run.step:,} of {run.steps:,}"
    age = format_duration(run.age_s)
    yield f"last written {age} ago, checkpoints: {_joined(found.checkpoints)}"
    yield from (f"damaged: {problem}" for problem in run.problems)
    yield from _block("settings", {name: _plain(value) for name, value in found.settings.items()})
    yield from _block("software", {name: _plain(value) for name, value in found.software.items()})
    yield from _block("last metrics", {name: _number(v) for name, v in found.metrics.items()})
    scores = {
        f"{one.name} {one.metric}": f"{one.value:.4f} [{one.low:.4f}, {one.high:.4f}] at step"
        f" {one.step:,}"
        for one in found.probes
    }
    yield from _block("probes, with 95 % intervals", scores)


def _block(title: str, rows: Mapping[str, str]) -> Iterator[str]:
    if rows:
        width = max(map(len, rows))
        yield f"{title}:"
        yield from (f"  {name:{width}}  {value}" for name, value in rows.items())


def _print_comparison(found: Comparison) -> None:
    parts = (
        ("settings", [(name, *map(_short_hash, row)) for name, row in found.settings.items()]),
        ("software", [(name, *map(_short_hash, row)) for name, row in found.software.items()]),
        ("last metrics", [(name, *map(_number, row)) for name, row in found.metrics.items()]),
        ("probes", [(name, *map(_number, row)) for name, row in found.probes.items()]),
    )
    empty = [""] * len(found.runs)
    rows: list[Sequence[str]] = [("", *found.runs)]
    for title, part in parts:
        if part:
            rows += [(f"{title}:", *empty), *((f"  {name}", *row) for name, *row in part)]
    width = room()
    first, *others = split_to_fit(fold_cells(rows, width), width)
    print_lines(*aligned(first), *(line for part in others for line in ("", *aligned(part))))
    if not found.settings:
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
    """A value; of a git commit or a SHA-256 as many digits as tell it from others."""
    return re.sub(r"\b([0-9a-f]{12})(?:[0-9a-f]{28}|[0-9a-f]{52})\b", r"\1", _plain(value))


def _joined(steps: Sequence[int]) -> str:
    return ", ".join(f"{step:,}" for step in steps) or "none"
