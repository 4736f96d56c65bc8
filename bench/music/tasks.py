"""Probe tasks on rendered music, in the layouts of MagnaTagATune, NSynth and FMA.

Clips of validation and test have grooves that training lacks, and those of test have a soundfont
that training lacks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from bench.music.clips import ALL_TAGS, MIXTURE_FILE, Request, read_clip, write_clips
from bench.music.grooves import STYLE_TASK
from bench.music.instruments import Instruments
from bench.music.notes import SPLITS, write_notes
from bench.music.packages import link
from bench.music.real_notes import write_real_notes
from bench.music.rendered import clip_requests, report
from mscol_cli.contracts.task import Split
from mscol_cli.synthetic.files import slug
from mscol_cli.synthetic.fma import SPLITS as FMA_SPLITS
from mscol_cli.synthetic.fma import clip_path, write_table
from mscol_cli.synthetic.mtat import FOLDERS, write_annotations
from mscol_cli.system.files import write_text

MIN_TRAIN_CLIPS = 3
# Ids of clips do not depend on the number of clips, so that a collection can grow.
FIRST_ID: dict[Split, int] = {"train": 1, "valid": 300_001, "test": 600_001}


@dataclass(frozen=True)
class TaskClip:
    """A clip of a task: its id, its split and its folder."""

    number: int
    split: Split
    folder: Path

    @property
    def audio(self) -> Path:
        return self.folder / MIXTURE_FILE


def make_tasks(
    folder: Path,
    instruments: Instruments,
    counts: Mapping[Split, int],
    seconds: float = 10.0,
    seed: int = 0,
    jobs: int = 1,
    packages: Path | None = None,
) -> None:
    """Write the folders `mtat`, `fma` and `nsynth`.

    Args:
        folder: Output folder; rendered clips are kept in its folder `clips`.
        instruments: Grooves and soundfonts.
        counts: Number of items of each split, in each task; rounded up so that styles and families
            of notes have equally many.
        seconds: Duration of a clip.
        seed: Seed of everything.
        jobs: Processes.
        packages: Folder of packages with recorded notes, see `write_real_notes`; None for a data
            set without recorded notes.
    """
    write_notes(folder / "nsynth", dict(counts), instruments, seed, jobs)
    if packages:
        write_real_notes(folder / "nsynth", packages)

    def clips(kind: str, styles: Sequence[str]) -> list[TaskClip]:
        requests = [
            (split, request)
            for split in SPLITS
            for request in clip_requests(
                folder / "clips" / kind / split,
                instruments,
                split,
                counts[split],
                seconds,
                (seed, kind),
                styles,
                with_stems=False,
            )
        ]
        return _render(requests, instruments, jobs)

    write_styles(folder / "fma", clips("style", STYLE_TASK))
    write_tags(folder / "mtat", clips("tags", ()), round(seconds))


def _render(
    requests: Sequence[tuple[Split, Request]], instruments: Instruments, jobs: int
) -> list[TaskClip]:
    report(write_clips([request for _, request in requests], instruments, jobs), "clips")
    numbers = {split: count(first) for split, first in FIRST_ID.items()}
    return [TaskClip(next(numbers[split]), split, request.folder) for split, request in requests]


def write_styles(root: Path, clips: Sequence[TaskClip]) -> None:
    """Write the layout of FMA-small; an artist is a family of grooves."""
    described = {clip: read_clip(clip.folder) for clip in clips}
    artists = sorted({info["groove_family"] for info in described.values()})
    rows: dict[int, dict[tuple[str, str], str | int]] = {}
    for clip, info in described.items():
        path = root / clip_path(clip.number)
        link(clip.audio, path.with_suffix(clip.audio.suffix))
        rows[clip.number] = {
            ("artist", "id"): 1 + artists.index(info["groove_family"]),
            ("artist", "name"): info["groove_family"],
            ("set", "split"): FMA_SPLITS[clip.split],
            ("set", "subset"): "small",
            ("track", "genre_top"): info["style"].capitalize(),
            ("track", "title"): f"{info['groove']} {clip.number}",
        }
    write_table(root, rows)


def write_tags(root: Path, clips: Sequence[TaskClip], seconds: int) -> None:
    """Write the layout of MagnaTagATune, with tags of our own in `tags.txt`."""
    rows, counts = list[tuple[int, set[str], str]](), Counter[str]()
    for clip in clips:
        info = read_clip(clip.folder)
        path = _tag_path(clip, info["groove_family"], info["soundfont"], seconds)
        link(clip.audio, root / path)
        rows.append((clip.number, set(info["tags"]), path))
        counts.update(info["tags"] if clip.split == "train" else ())
    write_annotations(root, ALL_TAGS, rows)
    frequent = [tag for tag, clips in counts.most_common() if clips >= MIN_TRAIN_CLIPS]
    write_text(root / "tags.txt", "\n".join(frequent) + "\n")


def _tag_path(clip: TaskClip, family: str, soundfont: str, seconds: int) -> str:
    """Path of a clip; clips of one family of grooves share a folder."""
    folders = FOLDERS[clip.split]
    folder = folders[sum(family.encode()) % len(folders)]
    name = f"{slug(family)}-{soundfont}-01-{clip.number}-0-{seconds}"
    return f"{folder}/{name}{clip.audio.suffix}"
