"""MagnaTagATune, read from `annotations_final.csv` and its 16 folders of clips."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from mscol_cli.api import (
    TOP_TAGS,
    BadInputError,
    MissingDataError,
    NoOptions,
    ProbeProtocol,
    Split,
    Task,
    TaskData,
    TaskItem,
    inside,
)
from mscol_tasks.files import absence_notes, not_utf8, with_audio
from mscol_tasks.tables import Row, distinct, read_table

SPLITS: dict[str, Split] = {
    **dict.fromkeys("0123456789ab", "train"),
    "c": "valid",
    **dict.fromkeys("def", "test"),
}
# Empty or cut-off mp3 files of the distribution, all in the training folders.
CORRUPT = frozenset({"35644", "55753", "57881"})
TIMES = re.compile(r"-\d+-\d+$")
TABLE, TAGS = "annotations_final.csv", "tags.txt"
ORDER_NOTE = (
    "tags in the order of the filtered split's top50_tags.txt: 'female voice' before 'metal'"
)


class MagnaTagATune(Task):
    """Tagging with the 50 most frequent tags.

    Layout: `DATA/annotations_final.csv` and `DATA/0/*.mp3` to `DATA/f/*.mp3`; clips may also have
    another audio format. Folders 0-b are for training, c for validation, d-f for testing. Clips
    without any of the 50 tags are excluded from training and validation, as published. There are
    two test sets: `filtered`, the clips of folders d-f with at least one of the 50 tags (4,332 if
    complete), and `unfiltered`, all clips of these folders (5,329). Scores on the two are not
    comparable.

    Tags are in order of frequency, with "female voice" before "metal" as in the `top50_tags.txt` of
    the filtered split; label arrays of other projects often have these two in reverse order.

    Other collections in this layout may list their own tags in `DATA/tags.txt`, one per line. All
    of their clips are used, those without a tag as negatives, and there is one test set.
    """

    protocol = ProbeProtocol(
        multilabel=True,
        learning_rate=5e-4,
        select="average_precision",
        metrics=("roc_auc", "average_precision"),
    )

    def __init__(self, options: NoOptions) -> None:
        self.options = options

    def load(self, folder: Path) -> TaskData:
        """Read the annotations and find the clips."""
        columns, rows = read_table(folder / TABLE, "\t", ("clip_id", "mp3_path"))
        own_tags = _own_tags(folder / TAGS)
        tags = own_tags or TOP_TAGS
        classes = tuple(tag for tag in tags if tag in columns)
        if not classes:
            raise MissingDataError(
                f"{folder / TABLE} has no columns for tags: unpack the original file."
            )
        clips = list(distinct(_clips(folder, rows, classes), "clip_id"))
        items, missing = with_audio(clips if own_tags else _published(clips), folder)
        test_sets = {} if own_tags else _test_sets(items)
        notes = [
            *(_own_notes(items) if own_tags else _published_notes(clips, test_sets)),
            *_tag_notes(tags, classes),
            *absence_notes(classes, items),
        ]
        return TaskData(classes, items, missing, notes, test_sets)


def _published(clips: Sequence[TaskItem]) -> list[TaskItem]:
    """The clips of MagnaTagATune that publications use."""
    usable = (item for item in clips if item.id not in CORRUPT)
    return [item for item in usable if item.labels or item.split == "test"]


def _test_sets(items: Sequence[TaskItem]) -> dict[str, frozenset[str]]:
    test = [item for item in items if item.split == "test"]
    filtered = frozenset(item.id for item in test if item.labels)
    return {"filtered": filtered, "unfiltered": frozenset(item.id for item in test)}


def _published_notes(
    clips: Sequence[TaskItem], test_sets: Mapping[str, frozenset[str]]
) -> list[str]:
    filtered, unfiltered = (len(members) for members in test_sets.values())
    untagged = _count_untagged(clips, ("train", "valid"))
    corrupt = sorted(item.id for item in clips if item.id in CORRUPT)
    return [
        f"filtered test set: {filtered} clips that have a top-50 tag (4332 when complete)",
        f"unfiltered test set: {unfiltered} clips, {unfiltered - filtered} of them without a top-50"
        " tag (5329 and 997 when complete); never compare scores across the two",
        *([f"left out, clips of {TABLE} without a top-50 tag: {untagged}"] if untagged else ()),
        ORDER_NOTE,
        *([f"excluded, known to be corrupt: clips {', '.join(corrupt)}"] if corrupt else ()),
    ]


def _own_notes(items: Sequence[TaskItem]) -> list[str]:
    untagged = _count_untagged(items, ("train", "valid", "test"))
    used = [f"clips without a tag, which are negatives of all tags: {untagged}"] if untagged else []
    return [f"tags of {TAGS}, in its order", *used]


def _count_untagged(items: Sequence[TaskItem], splits: Sequence[Split]) -> str:
    """Number of clips without labels in each split, as in `2 train, 1 valid`."""
    counts = Counter(item.split for item in items if not item.labels)
    return ", ".join(f"{counts[split]} {split}" for split in splits if counts[split])


def _clips(
    folder: Path, rows: Iterable[Row], classes: Sequence[str]
) -> Iterator[tuple[Row, str, TaskItem]]:
    for row in rows:
        clip, path = str(row.whole("clip_id")), row.text("mp3_path")
        labels = tuple(label for label, tag in enumerate(classes) if row.flag(tag))
        split, audio = SPLITS.get(path.partition("/")[0]), _audio(folder, path)
        if split is None or audio is None or "/" not in path:
            raise row.problem("mp3_path", f"'{path}' is outside folders 0 to f")
        yield row, clip, TaskItem(clip, audio, split, labels, _groups(path))


def _audio(folder: Path, path: str) -> Path | None:
    try:
        return inside(folder, path)
    except BadInputError:
        return None


def _groups(path: str) -> dict[str, str]:
    """Artist and song from a file name such as `artist-album-01-title-0-29.mp3`."""
    name = PurePosixPath(path).stem
    song = TIMES.sub("", name)
    return {"artist": name.partition("-")[0], "song": song} if song != name else {}


def _own_tags(path: Path) -> tuple[str, ...]:
    """Read a list of tags, one per line; empty if the file does not exist."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        return ()
    except UnicodeDecodeError as error:
        raise not_utf8(path) from error
    tags = tuple(dict.fromkeys(line.strip() for line in lines if line.strip()))
    if not tags:
        raise BadInputError(f"{path} has no tags: write one per line, or remove the file.")
    return tags


def _tag_notes(tags: Sequence[str], classes: Sequence[str]) -> list[str]:
    absent = [tag for tag in tags if tag not in classes]
    return [f"not annotated in {TABLE}: {', '.join(absent)}"] if absent else []
