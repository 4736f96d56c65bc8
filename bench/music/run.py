"""Do all of the music bench: build the music, train and probe every row, write the results.

Usage:
    python -m bench.music.run FOLDER --budget HOURS|--updates N [--groups main paper]
        [--rows cola msa] [--seeds 3] [--jobs N]

Everything is written to FOLDER: the music to `music`, what the study reads to `data`, a folder per
group of rows, and `RESULTS.md`. The budget is for training. `--dry-run` says what all of it takes,
and does nothing. The same command resumes.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from bench.music import build, quality, results, study
from bench.music.rows import GROUPS
from mscol_cli.app import run as mscol

DATA = {
    "recorded": "recorded/train",
    "rendered": "rendered/train",
    "rendered-mixtures": "rendered/mixtures/train",
    "mtat": "tasks/mtat",
    "nsynth": "tasks/nsynth",
    "fma": "tasks/fma",
}
"""Names in `data` of folders of `music`."""
STEMS = "rendered/test"
PROBE_HOURS = 0.06
"""On one core, for all tasks and one run of the encoder `small`."""
MUSIC_HOURS, RECORDED_HOURS, QUALITY_HOURS = 0.5, 1.4, 1.8
"""On one core: to render music and tasks and separate them by `mini`, to unpack and separate the
recorded music, and to separate an hour by HTDemucs."""
MUSIC_GB, RECORDED_GB, QUALITY_GB = 0.4, 3.5, 0.2
"""Downloads of these steps."""


def main(arguments: list[str] | None = None) -> None:
    """Do all steps."""
    args = read_arguments(arguments)
    chosen = [row for group in args.groups for row in study.of_names(group, args.rows)]
    # A budget needs the recorded music, too: the speed is measured on it.
    recorded = any(row.store == "recorded" for row in chosen) or not args.updates
    print(cost(args, len(chosen), recorded=recorded), file=sys.stderr)
    if args.dry_run:
        return
    folder, packages = args.folder.absolute(), args.packages_dir
    music = folder / "music"
    debs = str((packages or music / "deb").absolute())
    for step in (*(["recorded"] if recorded else []), "rendered", "tasks"):
        jobs = [] if step == "recorded" else ["--jobs", str(args.jobs)]
        build.main([step, str(music / step), "--packages-dir", debs, *jobs])
    link_data(folder / "data", music)
    if "quality" in args.groups:
        quality.prepare(folder / "data", Path(debs))
    stems = ["separate", str(music / STEMS), "--separator", "stems"]
    if code := mscol([*stems, "-o", str(folder / "data/stems")]):
        raise SystemExit(code)
    names = ["--groups", *args.groups, "--rows", *args.rows, "--seeds", str(args.seeds)]
    here = Path.cwd()
    amount = ("--updates", args.updates) if args.updates else ("--budget", args.budget)
    study.main([str(folder), *names, *map(str, amount)])
    os.chdir(here)
    results.main([str(folder), "-o", str(folder / "RESULTS.md")])


def read_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, help="folder of everything")
    parser.add_argument("--budget", type=float, default=24.0, help="hours of training in all")
    parser.add_argument("--updates", type=int, help="training steps per run, not by the budget")
    parser.add_argument("--groups", nargs="+", choices=GROUPS, default=list(GROUPS))
    parser.add_argument("--rows", nargs="+", choices=study.ROWS, default=study.ROWS)
    parser.add_argument("--seeds", type=int, default=3, help="runs per row")
    parser.add_argument("--jobs", type=int, default=1, help="processes that render music")
    parser.add_argument("--packages-dir", type=Path, help="folder of .deb files")
    parser.add_argument("--dry-run", action="store_true", help="say what it takes, do nothing")
    return parser.parse_args(arguments)


def cost(args: argparse.Namespace, rows: int, *, recorded: bool) -> str:
    """What a run takes, as one line.

    Args:
        args: The command line.
        rows: Number of rows.
        recorded: Whether the recorded music is needed.
    """
    runs, quality_too = args.seeds * rows, "quality" in args.groups
    probes = runs * PROBE_HOURS
    music = MUSIC_HOURS + recorded * RECORDED_HOURS + quality_too * QUALITY_HOURS
    download = MUSIC_GB + recorded * RECORDED_GB + quality_too * QUALITY_GB
    if args.updates:
        training, total = f"{args.updates:,} updates each", ""
    else:
        training = f"{args.budget:g} h of training"
        total = f", {music + args.budget + probes:.0f} h in all"
    return (
        f"{runs} runs: {training}, about {probes:.1f} h of probes and {music:.1f} h for the"
        f" music on one core{total}; a download of {download:.1f} GB"
    )


def link_data(data: Path, music: Path) -> None:
    """Link the music and the tasks into the folder that the study reads."""
    data.mkdir(parents=True, exist_ok=True)
    for name, target in DATA.items():
        if not (data / name).exists() and not (data / name).is_symlink():
            (data / name).symlink_to(Path(os.path.relpath(music / target, data)))


if __name__ == "__main__":
    main()
