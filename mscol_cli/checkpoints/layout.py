"""How run folders are laid out; read without torch, which takes long."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mscol_cli.errors import UsageError
from mscol_cli.files import relative_to_here

FORMAT, VERSION = "mscol-run", 1
RUNS = Path("runs")
LATEST = "latest"
RUN, RECIPE, CHECKPOINTS = "run.json", "recipe.toml", "checkpoints"
"""In a run: its settings, those that decide the result as a recipe, and its checkpoints."""
PROBES, PROBE_REPORT = "probes", "probe.json"
"""Results of probes, of a run in its folder: each in a folder of its own, and what says it all."""


def check_layout(folder: Path, info: Mapping[str, Any]) -> None:
    """Refuse a run.json of another layout. Raises UsageError."""
    if info.get("format") != FORMAT or info.get("version") != VERSION:
        raise UsageError(
            f"{folder} has layout {info.get('format')} {info.get('version')}, this mscol reads"
            f" {FORMAT} {VERSION}: use the mscol that wrote it, or train again."
        )


def checkpoint_folders(run: Path) -> list[Path]:
    """The checkpoints of a run, by step."""
    return sorted((run / CHECKPOINTS).glob("step-*"))


def follow_latest(run: Path) -> Path:
    """A run folder that the user named, with `latest` followed to the run itself."""
    return relative_to_here(run.resolve()) if run.name == LATEST else run


def find_named(name: str | Path) -> Path | None:
    """A folder that the user named: a path, or what lies below `runs/`, such as a run's name; None
    where there is neither."""
    found = next((path for path in (Path(name), RUNS / name) if path.is_dir()), None)
    return found and follow_latest(found)
