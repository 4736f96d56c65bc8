"""Embedded clips of a task."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mscol_cli.contracts.task import Split, TaskItem
from mscol_cli.probe.clips import SPLITS, EmbeddedTask, long_clip_notes
from mscol_cli.probe.windows import ClipWindows
from tests.helpers.probing import one_hot


def embedded(counts: dict[Split, list[int]]) -> EmbeddedTask:
    """Clips with some numbers of windows."""
    items: dict[Split, list[TaskItem]] = {}
    clips: dict[Split, ClipWindows] = {}
    for split, windows in counts.items():
        items[split] = [
            TaskItem(f"{split} {row}", Path(), split, (0,)) for row in range(len(windows))
        ]
        parts = [np.zeros((count, 1), np.float32) for count in windows]
        clips[split] = ClipWindows.of(parts, one_hot([0] * len(windows), 2))
    return EmbeddedTask(items, clips, ())


def test_a_clip_with_a_large_share_of_the_windows_is_noted() -> None:
    long: list[int] = [30] * 19 + [190]
    (note,) = long_clip_notes(embedded({"train": long, "valid": [30] * 20, "test": long}))
    assert note.startswith("clip train 19 holds 25% of the training windows")
    (note,) = long_clip_notes(embedded({"train": [30] * 20, "valid": long, "test": long}))
    assert note.startswith("clip valid 19 holds 25% of the validation windows")


def test_clips_of_a_small_split_are_not_noted() -> None:
    assert not list(long_clip_notes(embedded({split: [30] * 18 + [190] for split in SPLITS})))
