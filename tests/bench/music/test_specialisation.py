"""Tags of a source, scored for encoders that learned from one source."""

from __future__ import annotations

import numpy as np
import pytest

from bench.music.rows import STEMS
from bench.music.runs import TAG_METRIC, TAG_SET, TAGS, rescore
from bench.music.specialisation import specialisations
from mscol_cli.probe.scores import ClipScores


def test_only_the_tags_of_the_source_count() -> None:
    tags, others = TAGS["bass"], ("drums", "piano")
    targets = np.random.default_rng(0).random((40, 5)) < 0.5
    scores = np.where(targets, 1.0, 0.0)[None]
    scores[..., len(tags) :] = 0.5  # nothing is known about the others
    members = {"filtered": np.ones(40, dtype=bool)}
    clips = ClipScores([str(n) for n in range(40)], (*tags, *others), scores, targets, members, {})
    for some, expected in ((tags, 1.0), (others, 0.5)):
        assert rescore(clips, TAG_SET, some)[TAG_METRIC].value == pytest.approx(expected)


def test_a_tag_with_few_clips_is_not_scored() -> None:
    targets = np.arange(40)[:, None] < [20, 9]
    members = {"filtered": np.ones(40, dtype=bool)}
    scores = np.where(targets, (1.0, 0.0), (0.0, 1.0))[None]  # wrong on the tag with nine clips
    clips = ClipScores([str(n) for n in range(40)], ("piano", "harp"), scores, targets, members, {})
    assert rescore(clips, TAG_SET, clips.classes)[TAG_METRIC].value == 1
    assert rescore(clips, TAG_SET, ["harp"]) == {}


def test_a_tag_belongs_to_one_source() -> None:
    assert set(TAGS) == set(STEMS)
    assert len({tag for tags in TAGS.values() for tag in tags}) == sum(map(len, TAGS.values()))


def test_rows_that_were_not_trained_leave_the_table_out() -> None:
    assert specialisations({}) == []
