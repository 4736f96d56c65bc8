"""Axes that early values do not flatten."""

import numpy as np
import pytest

from mscol_cli.pages.curves import Curve, Panel, draw_panels
from mscol_cli.pages.limits import robust_limits

EARLY = [19.8, 11.2, *(4.0 - step / 100 for step in range(98))]


def test_early_values_are_cut_off_and_the_picture_says_so() -> None:
    curve = Curve("run", list(range(100)), EARLY)
    (place,) = draw_panels([Panel("loss", "updates", "loss", [curve], cut=True)]).axes
    assert place.get_ylim()[0] < 3.03 < 4.0 < place.get_ylim()[1] < 5.0
    assert "2 points above 4.0" in place.get_xlabel()
    assert "cut off (highest: 19.8)" in place.get_xlabel()
    assert sum(len(np.asarray(one.get_offsets())) for one in place.collections) == 2


@pytest.mark.parametrize(
    "values",
    [[], [3.0], [11.0, 4.0, 3.0], [1.0] * 50, [float(value) for value in range(100)]],
    ids=["none", "one", "few", "flat", "even"],
)
def test_nothing_is_cut_off_where_all_fits(values: list[float]) -> None:
    assert robust_limits([values]) is None


def test_a_curve_in_a_panel_of_scores_is_never_cut() -> None:
    curve = Curve("run", list(range(100)), EARLY)
    (place,) = draw_panels([Panel("score", "updates", "accuracy", [curve])]).axes
    assert place.get_ylim()[1] > 19.8
