"""Sub-mixtures: what is drawn, and what is refused."""

import numpy as np
import pytest

from mscol_cli.api import ObjectiveContext, UsageError
from mscol_objectives.options import SubmixturesOptions
from mscol_objectives.submixtures import Submixtures, draw_partitions
from tests.plugins.objectives.test_published import four_stems

CONTEXT = ObjectiveContext(embedding_dim=24, crop_samples=15_920, start_grid=160)


def test_partitions_are_of_what_sounds_and_every_one_occurs() -> None:
    sounds = np.tile([False, True, True, False, True], (6_000, 1))
    some, rest = draw_partitions(sounds, np.random.default_rng(0))
    assert ((some | rest) == sounds).all()
    assert not (some & rest).any()
    kinds, counts = np.unique(some, axis=0, return_counts=True)
    assert len(kinds) == 6
    np.testing.assert_allclose(counts, 1_000, atol=150)


def test_a_pair_is_a_partition_of_one_segment_at_two_offsets() -> None:
    index = four_stems()
    plan = Submixtures(SubmixturesOptions(), CONTEXT).plan(index, np.random.default_rng(0), 128)
    anchor, positive = plan.views["anchor"], plan.views["positive"]
    assert anchor.gains is not None
    assert positive.gains is not None
    segment = anchor.track * 5 + anchor.start // 62_720
    sounds = index.segment_level[segment] > 0.01
    sounds[:, 0] = False
    np.testing.assert_array_equal(anchor.gains + positive.gains, sounds)
    assert anchor.gains.any(1).all()
    assert positive.gains.any(1).all()
    assert (anchor.track == positive.track).all()
    assert (anchor.start // 62_720 == positive.start // 62_720).all()
    assert (anchor.start != positive.start).any()


def test_crops_can_be_aligned_and_the_anchor_the_mixture() -> None:
    options = SubmixturesOptions(aligned=True, anchor="mixture", stems=("bass", "vocals"))
    plan = Submixtures(options, CONTEXT).plan(four_stems(), np.random.default_rng(0), 64)
    anchor, positive = plan.views["anchor"], plan.views["positive"]
    np.testing.assert_array_equal(anchor.start, positive.start)
    assert anchor.gains is None
    assert not anchor.source.any()
    assert positive.gains is not None
    np.testing.assert_array_equal(positive.gains.sum(0) > 0, [False, True, False, True, False])


def test_a_store_without_two_sources_at_a_time_is_refused() -> None:
    index = four_stems()
    index.segment_level[:, 2:] = 0
    with pytest.raises(UsageError, match="no segment of the store has two sources that sound"):
        Submixtures(SubmixturesOptions(), CONTEXT).check(index, 16)
