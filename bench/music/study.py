"""Run the study of the music bench: pre-train every row, probe it, and report.

Usage:
    python -m bench.music.study FOLDER --budget HOURS [--groups main improved] [--rows cola clmr]

FOLDER has a folder `data` with the music and the tasks of `python -m bench.music.build`. Each group
of rows (see bench/music/rows.py) becomes a study of its own, `FOLDER/GROUP.toml`, which `mscol
reproduce` runs in `FOLDER/GROUP`; it resumes, also with more rows or seeds. The number of updates
follows from the budget and from the speed of this machine, measured on the first call, and stays
the same afterwards. `--updates N` sets it. `--dry-run` prints the state of the stages, and writes
nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from statistics import median

import tomli_w

from bench.music.quality import WEIGHTS
from bench.music.rows import GROUPS, Row
from mscol_cli.app import run as mscol
from mscol_cli.engine import references
from mscol_cli.runs.layout import PROBE_REPORT, PROBES
from mscol_cli.study.plan import STUDY
from mscol_cli.system.json_files import read_json

RECIPE = Path(__file__).with_name("recipe.toml")
ROWS = [row.name for group in GROUPS.values() for row in group]
TASKS = ("mtat", "nsynth", "fma", "stems")
BATCH = 128
MEASURED_STEPS = 30
ROUND = 100
MINI = {"separator": "openunmix", "model": "mini"}
NITER = "niter=0"
STORES: dict[str, dict[str, object]] = {
    "recorded": {**MINI, "options": [NITER]},
    "rendered": {"separator": "stems"},
    "separated": {**MINI, "options": [NITER], "inputs": "rendered-mixtures"},
    "hour": {"separator": "stems"},
    "hour-separated": {**MINI, "options": [NITER], "inputs": "hour-mixtures"},
    "hour-htdemucs": {
        "separator": "htdemucs",
        "model": f"data/{WEIGHTS}",
        "options": ["overlap=0.2"],  # three segments per clip
        "inputs": "hour-mixtures",
    },
}


def main(arguments: list[str] | None = None) -> None:
    """Write and run the studies."""
    args = read_arguments(arguments)
    groups = {group: chosen for group in args.groups if (chosen := of_names(group, args.rows))}
    rows = [row for chosen in groups.values() for row in chosen]
    count = args.seeds * sum(row.trained for row in rows)
    known = known_updates(args.folder)
    if known and args.updates not in (None, known):
        raise SystemExit(f"{args.folder} was begun with {known:,} updates: choose another folder")
    if args.dry_run:
        _dry_run(args.folder, groups, count, args.updates or known)
        return
    args.folder.mkdir(parents=True, exist_ok=True)
    os.chdir(args.folder)
    shutil.copy(RECIPE, RECIPE.name)
    updates = args.updates or known or affordable(rows, args.seeds, args.budget)
    print(f"{count} runs of {updates:,} updates of {BATCH} pairs", file=sys.stderr)
    for group, chosen in groups.items():
        path = Path(f"{group}.toml")
        path.write_text(study_text(group, chosen, updates, args.seeds), encoding="utf-8")
        if code := mscol(["reproduce", str(path), "-o", group, "--keep-going"]):
            raise SystemExit(code)
    if groups:
        probe_bundled(Path(next(iter(groups)), PROBES, references.MINI))


def probe_bundled(folder: Path) -> None:
    """Probe the bundled encoder on all tasks, in the current folder; skips finished probes."""
    for task in TASKS:
        output = folder / task
        if (output / PROBE_REPORT).exists():
            continue
        model = ["--model", references.MINI, "--recipe", RECIPE.name]
        if code := mscol(["probe", task, *model, "-o", str(output)]):
            raise SystemExit(code)


def _dry_run(folder: Path, groups: Iterable[str], count: int, updates: int | None) -> None:
    amount = f"{updates:,} updates" if updates else "updates as many as the budget allows,"
    print(f"{count} runs of {amount} of {BATCH} pairs", file=sys.stderr)
    begun = [group for group in groups if (folder / f"{group}.toml").exists()]
    if begun:
        os.chdir(folder)
    for group in begun:
        mscol(["reproduce", f"{group}.toml", "-o", group, "--dry-run"])


def read_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, help="folder with `data`; everything is written here")
    parser.add_argument("--groups", nargs="+", choices=GROUPS, default=list(GROUPS))
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=ROWS, help="rows of the groups")
    parser.add_argument("--seeds", type=int, default=3, help="runs per row")
    parser.add_argument("--updates", type=int, help="training steps of each run")
    parser.add_argument("--budget", type=float, default=24.0, help="hours of training in all")
    parser.add_argument("--dry-run", action="store_true", help="print the studies only")
    return parser.parse_args(arguments)


def of_names(group: str, names: Sequence[str]) -> list[Row]:
    """Rows of a group that are among the names."""
    return [row for row in GROUPS[group] if row.name in names]


def known_updates(folder: Path) -> int | None:
    """Training steps of the studies that were begun in a folder; None if there are none."""
    studies = [path for group in GROUPS if (path := folder / group / STUDY).exists()]
    runs = [run for path in studies for run in read_json(path, "study")["study"]["runs"].values()]
    return max((run["steps"] for run in runs), default=0) or None


def affordable(rows: Sequence[Row], seeds: int, hours: float) -> int:
    """Training steps per run that fit in a budget, at the speed of this machine."""
    cost = seeds * sum(row.cost for row in rows if row.trained)
    if not cost:
        return 0
    updates = 3600 * hours / (cost * seconds_per_update())
    return max(ROUND, int(updates) // ROUND * ROUND)


def seconds_per_update() -> float:
    """Measure a short run of `cola` on the first store."""
    inputs, store = Path("data/recorded"), Path("data/recorded.store")
    # Resumes a store that is not complete; a sealed one is left as it is.
    mini = [word for name, value in MINI.items() for word in (f"--{name}", value)]
    if code := mscol(["separate", str(inputs), *mini, "--opt", NITER, "-o", str(store)]):
        raise SystemExit(code)
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder, "run")
        steps = ["--steps", str(MEASURED_STEPS), "--recipe", "recipe.toml"]
        if code := mscol(["pretrain", str(store), "--objective", "cola", *steps, "-o", str(run)]):
            raise SystemExit(code)
        lines = map(json.loads, (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines())
        return BATCH / float(median(line["pairs_per_second"] for line in lines if line["step"]))


def study_text(group: str, rows: Sequence[Row], updates: int, seeds: int) -> str:
    """The file of a study."""
    stores = {row.store: STORES[row.store] for row in rows}
    content = {
        "title": f"the music bench: {group}",
        "recipe": "recipe.toml",
        "tasks": list(TASKS),
        "untrained": ["logmel"],
        "stores": stores,
        "runs": dict(runs(rows, updates, seeds)),
    }
    return tomli_w.dumps(content)


def runs(rows: Sequence[Row], updates: int, seeds: int) -> Iterator[tuple[str, dict[str, object]]]:
    """Tables of the runs, all rows of a seed before the next seed."""
    for seed in range(seeds):
        for row in rows:
            yield (
                f"{row.name}-{seed}",
                {
                    "store": row.store,
                    "encoder": row.encoder,
                    "objective": row.objective,
                    "options": list(row.options),
                    "steps": updates if row.trained else 0,
                    "seed": seed,
                },
            )


if __name__ == "__main__":
    main()
