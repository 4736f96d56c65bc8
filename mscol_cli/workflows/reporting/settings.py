"""The settings of runs, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mscol_cli.reports.page import Block, Section, Table, Text
from mscol_cli.workflows.reporting.runs import FoundRun

ABSENT = "-"
SHORT_HASH = 12


def settings_section(runs: Sequence[FoundRun]) -> Section:
    """What differs between the runs first, then what they share."""
    columns = [dict(_settings(run)) for run in runs]
    names = list(dict.fromkeys(name for column in columns for name in column))
    rows = [(name, *(column.get(name, ABSENT) for column in columns)) for name in names]
    shared = [row for row in rows if len(set(row[1:])) == 1]
    different = [row for row in rows if len(set(row[1:])) > 1]
    return Section("Settings", list(_blocks(runs, different, shared)))


def _blocks(
    runs: Sequence[FoundRun], different: Sequence[Sequence[str]], shared: Sequence[Sequence[str]]
) -> Iterator[Block]:
    if len(runs) == 1:
        title = runs[0].title
        yield Table(f"Settings of {title}", ("setting", "value"), shared, numbers=False)
        return
    if different:
        header = ("setting", *(run.title for run in runs))
        yield Table("Settings in which the runs differ", header, different, numbers=False)
    else:
        yield Text("The runs differ in no setting.")
    caption = "Settings that all these runs share"
    yield Table(caption, ("setting", "value"), [row[:2] for row in shared], numbers=False)


def _settings(run: FoundRun) -> Iterator[tuple[str, str]]:
    info, training = run.info, run.training
    yield "objective", str(info.get("objective", {}).get("name", ABSENT))
    yield "encoder", str(info["encoder"]["name"])
    yield "updates done", f"{run.step:,}" if run.step is not None else "0"
    for name, value in training.items():
        yield name.replace("_", " "), shown(value)
    yield "train split", shown(info.get("train_split"))
    yield "recipe", shown(info.get("recipe"))
    for part in [*info.get("objective", {}).get("parts", []), info["encoder"]]:
        yield from _part(part)
    store = run.store or {}
    yield "store", str(store.get("path", ABSENT))
    yield "store hash", str(store.get("hash", ABSENT))[:SHORT_HASH]
    for name in ("mscol", "torch", "git"):
        yield name, shown(info.get(name))


def _part(part: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    name = part["name"]
    yield f"{name}, from", f"{part.get('owner', ABSENT)} {part.get('version', '')}".strip()
    for option, value in part.get("options", {}).items():
        yield f"{name}: {option.replace('_', ' ')}", shown(value)


def shown(value: Any) -> str:
    """A setting as it is read."""
    if value is None or value == "":
        return ABSENT
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "(none named)"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value)
