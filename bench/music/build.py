"""Build the music of the bench.

Usage:
    python -m bench.music.build recorded FOLDER --packages-dir DEBS [--excerpts MUSIC]

`recorded` unpacks the music of Debian's game packages, finds the tracks of one piece, and writes
the folders `train`, `valid` and `test` and a manifest. DEBS is a folder of .deb files; missing
packages are downloaded into it with `apt-get download`. With `--excerpts`, the manifest names the
tracks from which the files of another folder were cut.

Every step resumes and skips what exists.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from bench.music.recorded import make_recorded, summary


def main(arguments: list[str] | None = None) -> None:
    """Run one step."""
    args = read_arguments(arguments)
    print(summary(make_recorded(args.folder, args.packages_dir, args.excerpts)))


def read_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    steps = parser.add_subparsers(dest="step", required=True)
    recorded = steps.add_parser("recorded", help="music of Debian's game packages")
    recorded.add_argument("folder", type=Path, help="output folder")
    recorded.add_argument("--packages-dir", type=Path, required=True, help="folder of .deb files")
    recorded.add_argument("--excerpts", type=Path, help="other music, cut from the same tracks")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
