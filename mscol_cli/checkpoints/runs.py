"""Run folders: `runs/<objective>-<encoder>-<n>`, with `runs/latest` pointing at the last."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mscol_cli.checkpoints.layout import FORMAT, LATEST, RUN, VERSION, check_layout
from mscol_cli.errors import MissingDataError, UsageError
from mscol_cli.files import point, read_json, relative_to_here, write_json


def new_run(folder: Path, objective: str, encoder: str) -> Path:
    """Make the next free `FOLDER/<objective>-<encoder>-<n>`, even beside a rival."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{objective}-{encoder}"
    taken = [
        int(match[1])
        for path in folder.iterdir()
        if (match := re.fullmatch(rf"{re.escape(stem)}-(\d+)", path.name))
    ]
    number = max(taken, default=0) + 1
    while True:
        try:
            (folder / f"{stem}-{number}").mkdir()
        except FileExistsError:
            number += 1
        else:
            return folder / f"{stem}-{number}"


def point_latest(folder: Path, run: Path) -> None:
    """Let `FOLDER/latest` point at a run inside that folder; a run elsewhere leaves it alone."""
    target = run.resolve()
    if target.is_relative_to(folder.resolve()):
        # Relative: a folder of runs may be moved.
        point(folder / LATEST, Path(os.path.relpath(target, folder.resolve())))


def latest_run(folder: Path, advice: str) -> Path:
    """What `FOLDER/latest` points at.

    Args:
        folder: A folder of runs.
        advice: What to do where there is no such link, for the error.

    Raises:
        MissingDataError: There is no run yet.
    """
    link = folder / LATEST
    if not link.exists():
        raise MissingDataError(f"{link} does not exist: {advice}")
    return relative_to_here(link.resolve())


def write_run(run: Path, settings: Mapping[str, Any]) -> None:
    """Write a run's settings as its run.json."""
    write_json(run / RUN, {"format": FORMAT, "version": VERSION, **settings})


def read_run(run: Path) -> dict[str, Any]:
    """A run's settings.

    Raises:
        MissingDataError: The folder is no run.
        UsageError: It has a layout this version does not read.
    """
    settings = read_json(run / RUN, "run folder")
    check_layout(run, settings)
    return settings


def is_run(folder: Path) -> bool:
    """Whether a folder holds a run: its settings, which are written last."""
    return (folder / RUN).is_file()


def refuse_used(run: Path, files: Mapping[str, str]) -> None:
    """Refuse a run folder that already holds something, but what a process left there that was
    killed before it had begun the same run.

    Args:
        run: The folder.
        files: Name and text of what is written there before the run's settings are.

    Raises:
        UsageError: It holds something else.
    """
    if run.exists() and any(not _left_behind(path, files) for path in run.iterdir()):
        raise UsageError(f"{run} already holds files: choose another -o, or add --resume.")


def _left_behind(path: Path, files: Mapping[str, str]) -> bool:
    if path.name in files:
        return path.read_text(encoding="utf-8") == files[path.name]
    return any(path.match(f".{Path(name).stem}.[0-9]*{Path(name).suffix}") for name in files)
