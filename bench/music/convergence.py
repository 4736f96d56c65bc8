"""Probe the checkpoints of runs of the study: scores over training steps.

Usage:
    python -m bench.music.convergence FOLDER --runs main/cola-0 main/msa-0 [--task nsynth]

FOLDER is that of `python -m bench.music.study`. The probes are written to
`FOLDER/convergence/RUN/CHECKPOINT/TASK`, where `python -m bench.music.results` finds them. Finished
probes are kept.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.music.runs import Key, Run, add_probe
from mscol_cli.app import run as mscol
from mscol_cli.probe.result import read
from mscol_cli.runs.layout import CHECKPOINTS, PROBE_REPORT
from mscol_cli.system.files import write_json
from mscol_cli.system.json_files import read_json

CONVERGENCE, KEPT = "convergence", "convergence.json"


@dataclass(frozen=True)
class Point:
    """The score of a checkpoint.

    Attributes:
        run: `GROUP/ROW-SEED`.
        key: Task, test set and metric.
        step: Training step.
        score: The score on the test clips.
    """

    run: str
    key: Key
    step: int
    score: float


def main() -> None:
    """Probe all checkpoints of the named runs."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, help="folder of the studies")
    parser.add_argument("--runs", nargs="+", required=True, help="runs, GROUP/ROW-SEED")
    parser.add_argument("--task", default="nsynth", help="task to probe on")
    args = parser.parse_args()
    os.chdir(args.folder)
    for run in args.runs:
        for checkpoint in sorted(Path(run, CHECKPOINTS).glob("step-*")):
            output = Path(CONVERGENCE, run, checkpoint.name, args.task)
            if (output / PROBE_REPORT).exists():
                continue
            model = ["--model", str(checkpoint), "--recipe", "recipe.toml"]
            if code := mscol(["probe", args.task, *model, "-o", str(output)]):
                raise SystemExit(code)


def read_points(folder: Path, keys: Sequence[Key]) -> list[Point]:
    """Scores of all checkpoints that were probed.

    Args:
        folder: Folder of the studies.
        keys: Scores to read.
    """
    root = folder / CONVERGENCE
    points = []
    for report in sorted(root.rglob(PROBE_REPORT)):
        name = report.parent.parent.parent.relative_to(root).as_posix()
        run, step = Run(name), read(report.parent).model_step
        add_probe(run, report.parent)
        points += [
            Point(name, key, step, run.scores[key].value) for key in keys if key in run.scores
        ]
    return points


def keep_points(folder: Path, points: Iterable[Point]) -> list[Point]:
    """Add points to those that a folder keeps; returns all of them, sorted."""
    path = folder / KEPT
    content = read_json(path, "kept points")["points"] if path.exists() else []
    kept = [Point(**{**point, "key": tuple(point["key"])}) for point in content]
    found = {(point.run, point.key, point.step): point for point in (*kept, *points)}
    ordered = [found[name] for name in sorted(found)]
    if ordered:
        write_json(path, {"points": [asdict(point) for point in ordered]})
    return ordered


if __name__ == "__main__":
    main()
