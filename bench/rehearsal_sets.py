"""Data sets of bench/rehearsal.py, with the layouts and metadata of the real ones."""

from __future__ import annotations

import ast
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from bench.rehearsal_music import (
    FMA_FORMATS,
    MTAT_FORMAT,
    Floats,
    Recording,
    cut,
    cut_bare,
    recordings,
    write_note,
)
from mscol_cli.api import TOP_TAGS
from mscol_cli.synthetic import FAMILIES
from mscol_cli.synthetic.fma import GENRE_IDS, Row, write_table
from mscol_cli.synthetic.fma import SPLITS as FMA_SPLITS
from mscol_cli.synthetic.mtat import write_annotations
from mscol_cli.synthetic.notes import QUALITIES, VELOCITIES
from mscol_cli.synthetic.nsynth import SOURCES
from mscol_cli.synthetic.tags import RARE_TAGS
from mscol_tasks.mtat import CORRUPT

T = TypeVar("T")
SPLITS = ("train", "valid", "test")
FMA_EMPTY = (99134, 108925, 133297)
FMA_SHORT = {98565: 1.6, 98567: 0.5, 98569: 1.5}
FMA_LAST = 155_320
FMA_ARTISTS = 16_341
MTAT_CORRUPT = tuple(sorted(map(int, CORRUPT)))
MTAT_FOLDERS = "0123456789abcdef"
MTAT_TAGS = 188
MTAT_SECONDS = 29.1
# Notes per family in train, valid and test, as commonly reported. The sums are official.
NSYNTH_NOTES: Mapping[str, tuple[int, int, int]] = {
    "bass": (65_474, 2_638, 843),
    "brass": (12_675, 886, 269),
    "flute": (8_773, 470, 180),
    "guitar": (32_690, 2_081, 652),
    "keyboard": (51_821, 2_404, 766),
    "mallet": (34_201, 663, 202),
    "organ": (34_477, 1_598, 502),
    "reed": (13_911, 720, 235),
    "string": (19_474, 814, 306),
    "synth_lead": (5_501, 0, 0),
    "vocal": (10_208, 404, 141),
}
NOTES_PER_INSTRUMENT = 300
NSYNTH_SHARE = 0.1  # relative share of notes with audio: a note costs as much as other clips


@dataclass(frozen=True)
class Size:
    """Size of the data sets.

    Attributes:
        rows: Number of rows of tracks.csv.
        genre: Clips per genre of FMA-small in train, valid and test.
        clips: Clips of MagnaTagATune without the real lists.
        notes: Share of NSynth's notes.
        seconds: Duration of FMA's clips, and of MagnaTagATune's up to 29.1 s.
        fraction: Share of the clips with audio.
        per_format: Number of recordings per format.
        recorded: Duration of a recording in seconds.
    """

    rows: int = 106_574
    genre: tuple[int, int, int] = (800, 100, 100)
    clips: int = 25_863
    notes: float = 1.0
    seconds: float = 30.0
    fraction: float = 0.1
    per_format: int = 3
    recorded: float = 75.0


SMOKE = Size(
    rows=400,
    genre=(4, 2, 2),
    clips=320,
    notes=0.002,
    seconds=3.0,
    fraction=0.5,
    per_format=1,
    recorded=7.0,
)
"""Size for tests, with a few clips of each kind."""


def make_fma(root: Path, originals: Path, size: Size) -> None:
    """Write `fma_metadata/tracks.csv` with all columns, and `fma_small` with part of its audio."""
    rng = np.random.default_rng(11)
    small = _small_tracks(size, rng)
    _write_tracks(root, size, small, rng)
    shares = [audio_format.share for audio_format in FMA_FORMATS]
    formats = rng.choice(len(FMA_FORMATS), size=len(small), p=shares)
    chosen = _chosen({track: (genre, split) for track, genre, split in small}, size.fraction)
    ordinals = [0] * len(FMA_FORMATS)
    for (track, _, _), number in zip(small, formats.tolist(), strict=True):
        ordinals[number] += 1
        if track not in chosen and track not in FMA_EMPTY and track not in FMA_SHORT:
            continue
        path = root / "fma_small" / f"{track // 1000:03d}" / f"{track:06d}.mp3"
        path.parent.mkdir(parents=True, exist_ok=True)
        if track in FMA_EMPTY:
            path.write_bytes(b"ID3\4\0\0\0\0\0\0")  # a tag without frames
        elif not path.exists():
            sources = recordings(originals, FMA_FORMATS[number])
            cut(*_excerpt(sources, path, ordinals[number], FMA_SHORT.get(track, size.seconds)))
    for name in ("README.txt", "checksums"):
        (root / "fma_small" / name).write_text("as in the archive\n")


def make_mtat(root: Path, originals: Path, size: Size, reference: Path | None) -> None:
    """Write `annotations_final.csv` with 188 tags, and the folders 0 to f with part of the audio.

    Args:
        root: Output folder.
        originals: Folder of recordings.
        size: Size of the data set.
        reference: Folder of lists of the real data set: `index_mtt.tsv` (id, path),
            `val_gt_mtt.tsv` and `test_gt_mtt.tsv` (id, list of 50), `output_labels_mtt.txt` (their
            order) and `train_list_pub.cP` (paths of training clips with a label); None invents
            paths.
    """
    rng = np.random.default_rng(12)
    clips = _real_clips(reference, rng) if reference else _invented_clips(size.clips, rng)
    names = _tag_names()
    rare = [tag for tag in names if tag not in TOP_TAGS]
    annotated = [
        (clip, tags | {tag for tag in rare if rng.random() < 0.01}, name)
        for clip, name, tags in clips
    ]
    write_annotations(root, names, annotated)
    chosen = _chosen({clip: (name[0], bool(tags)) for clip, name, tags in clips}, size.fraction)
    sources = recordings(originals, MTAT_FORMAT)
    for ordinal, (clip, name, _) in enumerate(clips):
        if clip in chosen or clip in MTAT_CORRUPT:
            path = root / name
            path.parent.mkdir(exist_ok=True)
            if clip in MTAT_CORRUPT:
                path.write_bytes(b"")
            elif not path.exists():
                cut_bare(*_excerpt(sources, path, ordinal, min(MTAT_SECONDS, size.seconds)))


def make_nsynth(root: Path, sounds: Sequence[Floats], size: Size) -> None:
    """Write `nsynth-{train,valid,test}` with `examples.json` and part of their audio."""
    rng = np.random.default_rng(13)
    instruments, number = dict.fromkeys(FAMILIES, 0), 0
    for index, split in enumerate(SPLITS):
        examples: dict[str, dict[str, object]] = {}
        for family in FAMILIES:
            total = math.ceil(NSYNTH_NOTES[family][index] * size.notes)
            for instrument, pitch, velocity in _notes(total, instruments[family], rng):
                note = _example(number, family, instrument, pitch, velocity, rng)
                examples[str(note["note_str"])] = note
                number += 1
            instruments[family] += math.ceil(total / NOTES_PER_INSTRUMENT)
        folder = root / f"nsynth-{split}"
        (folder / "audio").mkdir(parents=True, exist_ok=True)
        (folder / "examples.json").write_text(json.dumps(examples, indent=4))
        families = {name: note["instrument_family"] for name, note in examples.items()}
        for name in sorted(_chosen(families, size.fraction * NSYNTH_SHARE)):
            path, gain = folder / "audio" / f"{name}.wav", float(rng.uniform(0.3, 1.0))
            sound = sounds[int(rng.integers(len(sounds)))]
            if not path.exists():
                write_note(path, sound, gain)


def _chosen(groups: Mapping[T, object], fraction: float) -> set[T]:
    """A fraction of the keys of every group, at least one."""
    members: dict[object, list[T]] = {}
    for name, group in groups.items():
        members.setdefault(group, []).append(name)
    rng = np.random.default_rng(14)
    chosen: set[T] = set()
    for names in members.values():
        order = rng.permutation(len(names))[: math.ceil(round(fraction * len(names), 6))]
        chosen.update(names[row] for row in order.tolist())
    return chosen


def _excerpt(
    sources: Sequence[Recording], path: Path, ordinal: int, seconds: float
) -> tuple[Recording, Path, int, float]:
    """Recording and start frame of a clip, different for every clip."""
    recording = sources[ordinal % len(sources)]
    # 7919 is a prime above the number of starts: all starts are used before one repeats.
    return recording, path, (ordinal // len(sources) * 7919) % recording.starts(seconds), seconds


def _small_tracks(size: Size, rng: np.random.Generator) -> list[tuple[int, str, str]]:
    """Tracks of FMA-small as (id, genre, split), sorted by id; the six bad tracks are in train."""
    bad = [*FMA_EMPTY, *FMA_SHORT]
    labels = [
        (genre, split)
        for split, count in zip(SPLITS, size.genre, strict=True)
        for genre in sorted(GENRE_IDS)
        for _ in range(count)
    ]
    free = np.setdiff1d(np.arange(3, FMA_LAST), bad)
    others = rng.choice(free, size=len(labels) - len(bad) - 1, replace=False).tolist()
    tracks = [*bad, 2, *rng.permutation(others).tolist()]
    first, rest = labels[: len(bad) + 1], labels[len(bad) + 1 :]
    shuffled = [rest[row] for row in rng.permutation(len(rest)).tolist()]
    return sorted((track, *label) for track, label in zip(tracks, [*first, *shuffled], strict=True))


def _write_tracks(
    root: Path, size: Size, small: Sequence[tuple[int, str, str]], rng: np.random.Generator
) -> None:
    listed = {track: (genre, split, "small") for track, genre, split in small}
    free = np.setdiff1d(np.arange(2, FMA_LAST + 1), list(listed))
    for track in rng.choice(free, size=size.rows - len(listed), replace=False).tolist():
        subset = "medium" if rng.random() < 0.17 else "large"
        genre = str(rng.choice(sorted(GENRE_IDS))) if subset == "medium" else ""
        listed[track] = genre, str(rng.choice(SPLITS, p=(0.8, 0.1, 0.1))), subset
    texts = _texts(rng)
    write_table(
        root, {track: _track(track, *of_track, texts) for track, of_track in listed.items()}
    )


def _track(track: int, genre: str, split: str, subset: str, texts: Sequence[str]) -> Row:
    """A row. Each artist is in one split only, and a third of the rows has no long text."""
    artist = SPLITS.index(split) + 3 * (track % (FMA_ARTISTS // 3))
    number = f"[{GENRE_IDS[genre]}]" if genre else "[]"
    text = texts[track % len(texts)] if track % 3 else ""
    return {
        ("album", "comments"): 0,
        ("album", "date_created"): "2008-11-26 01:44:45",
        ("album", "id"): track // 7,
        ("album", "information"): text[: len(text) // 2],
        ("album", "listens"): 17 * track % 90_001,
        ("album", "tags"): "[]",
        ("album", "title"): f'Album "{track // 7}", part {track % 3}',
        ("album", "tracks"): 7,
        ("album", "type"): "Album",
        ("artist", "bio"): text,
        ("artist", "id"): artist,
        ("artist", "name"): f"Artist {artist}",
        ("artist", "tags"): "['lo-fi', 'live']",
        ("set", "split"): FMA_SPLITS[split],
        ("set", "subset"): subset,
        ("track", "bit_rate"): 256_000,
        ("track", "date_created"): "2008-11-26 01:48:12",
        ("track", "duration"): 30 + track % 600,
        ("track", "genre_top"): genre,
        ("track", "genres"): number,
        ("track", "genres_all"): number,
        ("track", "interest"): track % 5_000,
        ("track", "license"): "Attribution-NonCommercial-ShareAlike",
        ("track", "listens"): track % 1_000,
        ("track", "number"): track % 20,
        ("track", "tags"): "[]",
        ("track", "title"): f"Title, {track}",
    }


def _texts(rng: np.random.Generator) -> list[str]:
    """Texts like biographies: paragraphs, quotation marks, markup, several alphabets."""
    words = (
        "music",
        "recorded",
        '"live"',
        "<p>band</p>",
        "années",
        "\u0433\u0440\u0443\u043f\u043f\u0430",
        "a, b",
        "l'album",
        "\u97f3\u697d",
    )
    texts = []
    for _ in range(64):
        chosen = rng.choice(words, size=int(rng.integers(60, 520)))
        texts.append("\n".join(" ".join(line) for line in np.array_split(chosen, 6)))
    return texts


def _tag_names() -> list[str]:
    """188 names: the 50 tags, some other real tags, and numbered ones."""
    known = [*TOP_TAGS, *RARE_TAGS]
    return sorted([*known, *(f"rare tag {number}" for number in range(MTAT_TAGS - len(known)))])


def _real_clips(reference: Path, rng: np.random.Generator) -> list[tuple[int, str, set[str]]]:
    """Real clips with real validation and test labels; training labels are sampled."""
    index = dict(_tab_separated(reference / "index_mtt.tsv"))
    order = ast.literal_eval(_after(reference / "output_labels_mtt.txt", "MTT_LABELS ="))
    labels: dict[str, set[str]] = {}
    for name in ("val_gt_mtt.tsv", "test_gt_mtt.tsv"):
        for clip, row in _tab_separated(reference / name):
            flags = ast.literal_eval(row)
            labels[clip] = {tag for tag, flag in zip(order, flags, strict=True) if flag}
    texts = (reference / "train_list_pub.cP").read_text()
    # A pickle of protocol 0 is text: it is searched, never loaded.
    tagged = {f"{name}.mp3" for _, name in re.findall(r"S(['\"])(.*)\.npy\1", texts)}
    drawn = [tags for tags in labels.values() if tags]
    clips = []
    for clip, path in index.items():
        tags = labels.get(clip, set())
        if path in tagged:
            tags = drawn[int(rng.integers(len(drawn)))]
        clips.append((int(clip), path, tags))
    return clips


def _tab_separated(path: Path) -> Iterator[tuple[str, str]]:
    for line in path.read_text(encoding="utf-8").splitlines():
        first, _, second = line.partition("\t")
        yield first, second


def _after(path: Path, mark: str) -> str:
    return path.read_text(encoding="utf-8").partition(mark)[2].strip()


def _invented_clips(count: int, rng: np.random.Generator) -> list[tuple[int, str, set[str]]]:
    clips = []
    for number in range(count):
        folder = MTAT_FOLDERS[number % len(MTAT_FOLDERS)]
        tags = set(rng.choice(TOP_TAGS, size=int(rng.integers(0, 6)), replace=False).tolist())
        clip = MTAT_CORRUPT[number] if number < len(MTAT_CORRUPT) else 2 + number
        path = f"{folder}/artist_{number % 97}-album-{number % 20:02d}-title_{number}-0-29.mp3"
        clips.append((clip, path, tags))
    return clips


def _notes(total: int, first: int, rng: np.random.Generator) -> Iterator[tuple[int, int, int]]:
    """Distinct notes as (instrument, pitch, velocity)."""
    grid = [(pitch, velocity) for pitch in range(21, 109) for velocity in VELOCITIES]
    for start in range(0, total, NOTES_PER_INSTRUMENT):
        order = rng.permutation(len(grid))[: min(NOTES_PER_INSTRUMENT, total - start)]
        for row in order.tolist():
            yield first + start // NOTES_PER_INSTRUMENT, *grid[row]


def _example(
    number: int,
    family: str,
    instrument: int,
    pitch: int,
    velocity: int,
    rng: np.random.Generator,
) -> dict[str, object]:
    """All fields of a note in NSynth."""
    source = SOURCES[instrument % len(SOURCES)]
    name = f"{family}_{source}_{instrument:03d}"
    qualities = (rng.random(len(QUALITIES)) < 0.15).astype(int).tolist()
    chosen = zip(QUALITIES, qualities, strict=True)
    return {
        "note": number,
        "note_str": f"{name}-{pitch:03d}-{velocity:03d}",
        "instrument": 1000 * FAMILIES.index(family) + instrument,
        "instrument_str": name,
        "pitch": pitch,
        "velocity": velocity,
        "sample_rate": 16_000,
        "qualities": qualities,
        "qualities_str": [quality for quality, has in chosen if has],
        "instrument_family": FAMILIES.index(family),
        "instrument_family_str": family,
        "instrument_source": SOURCES.index(source),
        "instrument_source_str": source,
    }
