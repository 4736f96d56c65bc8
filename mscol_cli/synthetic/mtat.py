"""MagnaTagATune's layout: sixteen folders of mp3 clips, annotations and clip information.

Folders 0 to b train, c validates, d to f test (the split of Law et al.'s data set that the
literature uses since Pons et al., 2017).
"""

import csv
from collections.abc import Sequence, Set
from math import ceil
from pathlib import Path

from mscol_cli.contracts.tags import TOP_TAGS
from mscol_cli.synthetic.catalogue import TEST, TRAIN, VALID, Entry
from mscol_cli.synthetic.files import slug, write_mp3
from mscol_cli.synthetic.randomness import Rng, stream
from mscol_cli.synthetic.song import Song
from mscol_cli.synthetic.tags import RARE_TAGS

FOLDERS = {TRAIN: "0123456789ab", VALID: "c", TEST: "def"}
INFO_COLUMNS = (
    "clip_id", "track_number", "title", "artist", "album", "url", "segmentStart", "segmentEnd",
    "original_url", "mp3_path",
)  # fmt: skip
UNTAGGED_SHARE = 0.04
OMITTED_SHARE = 0.07


def clip_path(entry: Entry, entries: list[Entry], seconds: float, seed: int) -> str:
    """Path of a song's clip below ``mtat``; the clips of an artist share a folder."""
    artists = list(dict.fromkeys(e.artist for e in entries if e.split == entry.split))
    folders = FOLDERS[entry.split]
    folder = folders[artists.index(entry.artist) % len(folders)]
    start, end = _segment(entry, seconds, seed)
    names = "-".join(
        (slug(entry.artist_name), slug(entry.album), f"{entry.track_number:02d}", slug(entry.title))
    )
    return f"{folder}/{names}-{start}-{end}.mp3"


def _segment(entry: Entry, seconds: float, seed: int) -> tuple[int, int]:
    start = 29 * int(stream(seed, "segment", entry.index).integers(0, 8)) + 1
    return start, start + ceil(seconds)


def write_clip(root: Path, path: str, song: Song) -> None:
    """Write the song's mixture to ``root/path``."""
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    write_mp3(root / path, song.mixture, song.sample_rate)


def write_tables(
    root: Path, entries: list[Entry], tags: list[frozenset[str]], seconds: float, seed: int
) -> None:
    """Write ``annotations_final.csv`` and ``clip_info_final.csv``, both tab-separated."""
    paths = [clip_path(entry, entries, seconds, seed) for entry in entries]
    ids = [2 + 4 * entry.index + entry.index % 3 for entry in entries]
    columns = sorted(TOP_TAGS + RARE_TAGS, key=slug)
    annotations = _drop_tags(tags, stream(seed, "listeners"))
    write_annotations(root, columns, list(zip(ids, annotations, paths, strict=True)))
    with (root / "clip_info_final.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(INFO_COLUMNS)
        for clip_id, entry, path in zip(ids, entries, paths, strict=True):
            writer.writerow(_information(clip_id, entry, path, seconds, seed))


def write_annotations(
    root: Path, tags: Sequence[str], clips: Sequence[tuple[int, Set[str], str]]
) -> None:
    """Write ``annotations_final.csv``.

    Args:
        root: folder of the data set.
        tags: columns, one per tag.
        clips: id, tags and path of each clip.
    """
    root.mkdir(parents=True, exist_ok=True)
    with (root / "annotations_final.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writerow(["clip_id", *tags, "mp3_path"])
        for clip_id, annotated, path in clips:
            writer.writerow([clip_id, *(int(tag in annotated) for tag in tags), path])


def _drop_tags(tags: list[frozenset[str]], rng: Rng) -> list[set[str]]:
    """Simulate listeners: some true tags are missing, and some clips have no common tag."""
    annotations = []
    for true in tags:
        kept = {tag for tag in sorted(true) if rng.random() >= OMITTED_SHARE}
        annotations.append(kept & set(RARE_TAGS) if rng.random() < UNTAGGED_SHARE else kept)
    return annotations


def _information(
    clip_id: int, entry: Entry, path: str, seconds: float, seed: int
) -> tuple[str | int, ...]:
    site = "http://example.org/music/"
    start, end = _segment(entry, seconds, seed)
    url = f"{site}{slug(entry.artist_name)}/{slug(entry.album)}/"
    original = f"{url}{entry.track_number:02d}-{slug(entry.title)}.mp3"
    return (
        clip_id, entry.track_number, entry.title, entry.artist_name, entry.album, url, start, end,
        original, path,
    )  # fmt: skip
