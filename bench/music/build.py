"""Build the music of the bench.

Usage:
    python -m bench.music.build recorded FOLDER --packages-dir DEBS [--excerpts MUSIC]
    python -m bench.music.build rendered FOLDER --packages-dir DEBS [--train CLIPS] [--jobs N]
    python -m bench.music.build tasks FOLDER --packages-dir DEBS [--jobs N]

DEBS is a folder of .deb files; missing packages are downloaded into it with `apt-get download`, and
those of recorded notes with `npm pack`.

`recorded` unpacks the music of Debian's game packages, finds the tracks of one piece, and writes
the folders `train`, `valid` and `test` and a manifest. With `--excerpts`, the manifest names the
tracks from which the files of another folder were cut.

`rendered` writes songs with true stems over grooves of MMA, played by FluidSynth.

`tasks` writes data for the tasks of `mscol probe`: `mtat`, `fma` and `nsynth`, which has recorded
notes as a second test set.

`--train`, `--valid` and `--test` are numbers of clips; for `tasks`, items of each task.

Every step resumes and skips what exists; the same seed gives the same music.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from bench.music.instruments import unpack_instruments
from bench.music.recorded import make_recorded, summary
from bench.music.rendered import make_rendered
from bench.music.tasks import make_tasks
from mscol_cli.contracts.task import Split


def main(arguments: list[str] | None = None) -> None:
    """Run one step."""
    args = read_arguments(arguments)
    packages: Path = args.packages_dir
    if args.step == "recorded":
        print(summary(make_recorded(args.folder, packages, args.excerpts)))
        return
    instruments = unpack_instruments(args.instruments or packages / "unpacked", packages)
    counts: dict[Split, int] = {"train": args.train, "valid": args.valid, "test": args.test}
    if args.step == "rendered":
        make_rendered(args.folder, instruments, counts, args.seconds, args.seed, args.jobs)
    else:
        make_tasks(args.folder, instruments, counts, args.seconds, args.seed, args.jobs, packages)


def read_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    steps = parser.add_subparsers(dest="step", required=True)
    recorded = steps.add_parser("recorded", help="music of Debian's game packages")
    rendered = steps.add_parser("rendered", help="songs with true stems")
    tasks = steps.add_parser("tasks", help="data for the tasks of mscol probe")
    for step in (recorded, rendered, tasks):
        step.add_argument("folder", type=Path, help="output folder")
        step.add_argument("--packages-dir", type=Path, required=True, help="folder of .deb files")
    recorded.add_argument("--excerpts", type=Path, help="other music, cut from the same tracks")
    defaults = {rendered: (20.0, 720, 100, 400), tasks: (10.0, 1_000, 200, 450)}
    for step, (seconds, *counts) in defaults.items():
        step.add_argument("--instruments", type=Path, help="folder of unpacked packages")
        step.add_argument("--seconds", type=float, default=seconds, help="duration of a clip")
        for split, count in zip(("train", "valid", "test"), counts, strict=True):
            step.add_argument(f"--{split}", type=int, default=count, help=f"items of {split}")
        step.add_argument("--seed", type=int, default=0, help="random seed")
        step.add_argument("--jobs", type=int, default=1, help="processes")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
