"""The settings of runs, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mscol_cli.checkpoints.settings import software_of
from mscol_cli.reports.page import Block, Section, Table, Text
from mscol_cli.workflows.reporting.runs import FoundRun

ABSENT = "-"
SHORT_HASH = 12
SHOWN = 14
"""Settings that all runs share before the rest is folded away."""


def settings_section(runs: Sequence[FoundRun]) -> Section:
    """What differs between the runs first, then what they share; software apart."""
    settings = _tables(runs, "Settings", "setting", [dict(_settings(run)) for run in runs])
    software = _tables(runs, "Software", "version", [dict(_software(run)) for run in runs])
    return Section("Settings", [*settings, *software])


def _tables(
    runs: Sequence[FoundRun], what: str, one: str, columns: Sequence[Mapping[str, str]]
) -> Iterator[Block]:
    names = list(dict.fromkeys(name for column in columns for name in column))
    rows = [(name, *(column.get(name, ABSENT) for column in columns)) for name in names]
    shared = [row[:2] for row in rows if len(set(row[1:])) == 1]
    different = [row for row in rows if len(set(row[1:])) > 1]
    if different:
        header = (one, *(run.title for run in runs))
        yield Table(f"{what} in which the runs differ", header, different, numbers=False)
    elif len(runs) > 1:
        yield Text(f"The runs differ in no {one}.")
    if shared:
        whose = f"of {runs[0].title}" if len(runs) == 1 else "that all these runs share"
        yield Table(f"{what} {whose}", (one, "value"), shared, numbers=False, shown=SHOWN)


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


def _software(run: FoundRun) -> Iterator[tuple[str, str]]:
    for name, value in software_of(run.info).items():
        yield name, shown(value)


def _part(part: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    name = part["name"]
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
