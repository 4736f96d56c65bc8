"""Tiny data sets in the layouts of MagnaTagATune, NSynth and FMA-small; their audio is empty."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

FMA_HEADER = (
    ("", "album", "set", "set", "track", "track"),
    ("", "title", "split", "subset", "genre_top", "title"),
    ("track_id", "", "", "", "", ""),
)


def touch(path: Path) -> Path:
    """An empty file, and its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def write_mtat(
    root: Path, clips: Mapping[str, tuple[str, Sequence[str]]], tags: Sequence[str]
) -> None:
    """Annotations of clips, id -> (path, tags); no audio."""
    root.mkdir(parents=True, exist_ok=True)
    with (root / "annotations_final.csv").open("w", newline="") as file:
        writer = csv.writer(file, delimiter="\t", quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writerow(["clip_id", *tags, "mp3_path"])
        for clip, (path, own) in clips.items():
            writer.writerow([clip, *(int(tag in own) for tag in tags), path])


def write_nsynth(root: Path, notes: Mapping[str, Mapping[str, int]]) -> None:
    """The three JSON files, split -> note -> family id; no audio."""
    for split, families in notes.items():
        folder = root / f"nsynth-{split}"
        folder.mkdir(parents=True, exist_ok=True)
        examples = {
            note: {"note_str": note, "pitch": 60, "instrument_family": family}
            for note, family in families.items()
        }
        (folder / "examples.json").write_text(json.dumps(examples))


def write_fma(
    root: Path, tracks: Mapping[int, tuple[str, str, str]], artists: Mapping[int, int] | None = None
) -> None:
    """The table, id -> (split, subset, genre), with artists' ids if given; no audio."""
    path = root / "fma_metadata" / "tracks.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        more = (("artist",), ("id",), ("",)) if artists else ((), (), ())
        writer.writerows([*own, *added] for own, added in zip(FMA_HEADER, more, strict=True))
        for track, (split, subset, genre) in tracks.items():
            row = [track, 'An "album",\nin two lines', split, subset, genre, "Title"]
            writer.writerow([*row, *([artists[track]] if artists else [])])
