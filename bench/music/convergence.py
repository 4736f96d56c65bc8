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
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.music.runs import Key, Run, add_probe
from mscol_cli.app import run as mscol
from mscol_cli.probe.bootstrap import Resampled
from mscol_cli.probe.result import read
from mscol_cli.runs.layout import CHECKPOINTS, PROBE_REPORT

CONVERGENCE = "convergence"


@dataclass(frozen=True)
class Point:
    """The score of a checkpoint.

    Attributes:
        run: `GROUP/ROW-SEED`.
        key: Task, test set and metric.
        step: Training step.
        score: The score on the test clips, and on resampled ones.
    """

    run: str
    key: Key
    step: int
    score: Resampled


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
        points += [Point(name, key, step, run.scores[key]) for key in keys if key in run.scores]
    return sorted(points, key=lambda point: (point.run, point.key, point.step))


if __name__ == "__main__":
    main()
