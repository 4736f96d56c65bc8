"""Metadata readers for bench/rehearsal.py that are independent of mscol.

A shared reader could lose a clip on both sides of a comparison.
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path

from bench.rehearsal_sets import FMA_EMPTY, FMA_SHORT, MTAT_CORRUPT, MTAT_SECONDS, SPLITS, Size
from mscol_cli.api import TOP_TAGS

SPLIT_OF_FOLDER = {
    **dict.fromkeys("0123456789ab", "train"),
    "c": "valid",
    **dict.fromkeys("def", "test"),
}
SPLIT_OF_FMA = {"training": "train", "validation": "valid", "test": "test"}
MIN_SECONDS = 0.995  # one window of the encoder


@dataclass(frozen=True)
class Clip:
    """A clip in the metadata.

    Attributes:
        path: Path in the data set's folder.
        split: train, valid or test.
        used: Whether the task trains, validates or tests on it.
        seconds: Duration; 0 for a file without audio.
        tagged: Whether it has one of the 50 tags of MagnaTagATune.
    """

    path: str
    split: str
    used: bool
    seconds: float
    tagged: bool = True

    @property
    def fails(self) -> bool:
        """Whether mscol must report it as failed."""
        return self.seconds < MIN_SECONDS


def listed(name: str, root: Path, size: Size) -> list[Clip]:
    """Every clip in the metadata of a data set."""
    return {"fma": _fma, "mtat": _mtat, "nsynth": _nsynth}[name](root, size)


def _fma(root: Path, size: Size) -> list[Clip]:
    with (root / "fma_metadata/tracks.csv").open(newline="", encoding="utf-8") as file:
        rows = csv.reader(file)
        names = list(zip(next(rows), next(rows), strict=True))
        subset, split = (names.index(("set", name)) for name in ("subset", "split"))
        next(rows)
        return [
            Clip(
                f"fma_small/{int(row[0]) // 1000:03d}/{int(row[0]):06d}.mp3",
                SPLIT_OF_FMA[row[split]],
                int(row[0]) not in FMA_EMPTY,
                0.0 if int(row[0]) in FMA_EMPTY else FMA_SHORT.get(int(row[0]), size.seconds),
            )
            for row in rows
            if row[subset] == "small"
        ]


def _mtat(root: Path, size: Size) -> list[Clip]:
    clips = []
    with (root / "annotations_final.csv").open(newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            split, corrupt = (
                SPLIT_OF_FOLDER[row["mp3_path"][0]],
                int(row["clip_id"]) in MTAT_CORRUPT,
            )
            tagged = any(row[tag] == "1" for tag in TOP_TAGS)
            seconds = 0.0 if corrupt else min(MTAT_SECONDS, size.seconds)
            used = not corrupt and (tagged or split == "test")
            clips.append(Clip(row["mp3_path"], split, used, seconds, tagged))
    return clips


def _nsynth(root: Path, _: Size) -> list[Clip]:
    return [
        Clip(f"nsynth-{split}/audio/{name}.wav", split, True, 4.0)
        for split in SPLITS
        for name in json.loads((root / f"nsynth-{split}/examples.json").read_text())
    ]
