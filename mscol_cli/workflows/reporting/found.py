"""Which runs and which probe results a report is about."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from mscol_cli.checkpoints.layout import LATEST, RUN, find_named
from mscol_cli.checkpoints.metrics import damage
from mscol_cli.errors import MissingDataError, MscolError
from mscol_cli.workflows.reporting.groups import Group, group_probes
from mscol_cli.workflows.reporting.probes import PROBE, FoundProbe, read_probe
from mscol_cli.workflows.reporting.runs import FoundRun, read_run

__all__ = ["FoundProbe", "FoundRun", "Material", "find_material"]

PROBES = "probes"
Found = TypeVar("Found")
Failures = list[tuple[str, str]]


@dataclass(frozen=True)
class Material:
    """What a report is made of.

    Attributes:
        runs: In the order they were named.
        probes: Those of the runs, then others.
        failures: Folders that could not be read, and why.
    """

    runs: Sequence[FoundRun]
    probes: Sequence[FoundProbe]
    failures: Failures = field(default_factory=list)

    @cached_property
    def groups(self) -> list[Group]:
        """Results that compare, by their settings."""
        return group_probes(self.probes)

    def style(self, run: FoundRun | None) -> int:
        """The colour and dash of a run, the same in every picture."""
        return next((row for row, one in enumerate(self.runs) if one is run), len(self.runs))


def find_material(paths: Sequence[Path], probes: Sequence[Path] = ()) -> Material:
    """Read runs, and the probes in them.

    Args:
        paths: Run folders or names of runs under `runs/`, and folders that hold some, or hold a
            `runs` folder; of those, results in `probes` are taken, too.
        probes: More folders of probe results, such as those of an untrained encoder.

    Raises:
        MissingDataError: There is no such folder, or no run in it.
    """
    failures: Failures = []
    paths = [find_named(path) or path for path in paths]
    folders = _unique(folder for path in paths for folder in _runs_in(path))
    labels = _labels(folders)
    runs = list(_readable(folders, lambda folder: read_run(labels[folder], folder), failures))
    failures += [(str(run.folder), damage(run.folder, run.damaged)) for run in runs if run.damaged]
    found = [
        probe
        for run in runs
        for probe in _readable(_results_in(run.folder / PROBES), _reader(run), failures)
    ]
    other = [
        *(folder for path in paths for folder in _results_in(path / PROBES)),
        *(folder for path in probes for folder in _named_results(path)),
    ]
    own = {probe.folder.resolve() for probe in found}
    others = [folder for folder in _unique(other) if folder.resolve() not in own]
    found += _readable(others, _reader(None), failures)
    return Material(runs, found, failures)


def _runs_in(path: Path) -> list[Path]:
    if not path.is_dir():
        raise MissingDataError(f"{path} is no folder: name a run folder, or one that holds runs.")
    if (path / RUN).is_file():
        return [path]
    places = [path / "runs", path]
    found = [
        run.parent for place in places for run in place.glob(f"*/{RUN}") if not _is_latest(run)
    ]
    if not found and any(path.glob("*/probe.json")):
        raise MissingDataError(f"{path} holds results of probes and no run: add --probes {path}.")
    if not found:
        raise MissingDataError(f"{path} holds no run: train one with 'mscol pretrain'.")
    return sorted(found, key=_started)


def _is_latest(run: Path) -> bool:
    return run.parent.name == LATEST and run.parent.is_symlink()


def _started(folder: Path) -> tuple[float, str]:
    """When a run began, as its recipe, which nothing writes again, tells."""
    recipe = folder / "recipe.toml"
    return (recipe if recipe.exists() else folder / RUN).stat().st_mtime, folder.name


def _unique(folders: Iterable[Path]) -> list[Path]:
    return list({folder.resolve(): folder for folder in folders}.values())


def _labels(folders: Sequence[Path]) -> dict[Path, str]:
    """The shortest ends of paths that tell the folders apart."""
    whole = {folder: folder.resolve().parts for folder in folders}
    for length in range(1, max((len(parts) for parts in whole.values()), default=0) + 1):
        short = {folder: "/".join(parts[-length:]) for folder, parts in whole.items()}
        if len(set(short.values())) == len(folders):
            return short
    return {folder: str(folder) for folder in folders}


def _readable(
    folders: Iterable[Path], read: Callable[[Path], Found], failures: Failures
) -> Iterator[Found]:
    """What can be read; the rest is added to the failures."""
    for folder in folders:
        try:
            yield read(folder)
        except MscolError as error:
            failures.append((str(folder), str(error)))
        except (KeyError, TypeError, ValueError, AttributeError, OSError) as error:
            failures.append((str(folder), f"{folder} cannot be read ({error}): make it anew."))


def _results_in(folder: Path) -> list[Path]:
    return sorted(path.parent for path in folder.rglob(PROBE))


def _named_results(folder: Path) -> list[Path]:
    found = _results_in(folder)
    if not found:
        raise MissingDataError(f"{folder} holds no {PROBE}: make one with 'mscol probe'.")
    return found


def _reader(run: FoundRun | None) -> Callable[[Path], FoundProbe]:
    return lambda folder: read_probe(folder, run)
