"""Pictures of curves."""

from __future__ import annotations

from pathlib import Path

import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from mscol_cli.pages.curves import Curve, Panel, colour, dash, draw_panels, log_ticks
from mscol_cli.pages.heat import draw_heat
from mscol_cli.pages.lettering import folded, ink, shortened
from mscol_cli.pages.pictures import FORMATS, picture_bytes, save_pictures
from mscol_cli.pages.points import Point, draw_confusion, draw_points

LONG = "studies/separation-demo/runs/msa+mws-efficientnet_b0-with-a-very-long-name"
TITLE = f"mtat, labels 0.01, 0.1, 0.5, with noise 20 dB, noise 10 dB, unfiltered: {LONG}"
NAMES = [f"{LONG}-{number}@10000" for number in range(8)]


@pytest.mark.slow
def test_a_picture_has_every_panel_and_line_in_every_format(tmp_path: Path) -> None:
    lines = [Curve(f"run {style}", [0, 1], [style, 2], style=style) for style in range(3)]
    panels = [Panel(name, "step", name, lines) for name in ("loss", "accuracy", "rate")]
    figure = draw_panels(panels)
    save_pictures(figure, tmp_path / "curves.png")
    begins = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}
    for kind in FORMATS:
        assert (tmp_path / f"curves.{kind}").read_bytes().startswith(begins[kind])
    shown = [place for place in figure.axes if place.axison]
    assert [place.get_ylabel() for place in shown] == ["loss", "accuracy", "rate"]
    assert all(len(place.lines) == 3 for place in shown)


def test_an_interval_is_shaded() -> None:
    curve = Curve("run", [0, 1], [0.5, 0.6], low=[0.4, 0.5], high=[0.6, 0.7])
    figure = draw_panels([Panel("score", "step", "accuracy", [curve])])
    assert len(figure.axes[0].collections) == 1


def test_names_from_data_are_no_formulas_and_none_is_left_out() -> None:
    """`$` begins a formula in matplotlib, and an underscore a name without a legend."""
    names = ["lr$1_$2", "A$AP & Ke$ha", "_run"]
    lines = [Curve(name, [0, 1], [0, 1], style=style) for style, name in enumerate(names)]
    figures = [
        draw_panels([Panel(names[0], "step", names[0], lines)] * 2),
        draw_points(names[0], "score", [Point(name, 0.5, 0.4, 0.6) for name in names]),
        draw_confusion(names[0], names, [[1.0] * 3] * 3),
        draw_heat(names[0], names, names, [[0.5] * 3] * 3, [["0.50"] * 3] * 3, "score"),
    ]
    for figure in figures:
        picture_bytes(figure, "png")
        assert not any(text.get_parse_math() for text in figure.findobj(Text))
    assert [text.get_text().strip() for text in figures[0].legends[0].get_texts()] == names


@pytest.mark.filterwarnings("error")
def test_a_name_without_glyphs_prints_no_warning() -> None:
    picture_bytes(draw_points("日本", "score", [Point("日本", 0.5, 0.4, 0.6)]), "png")


def test_fourteen_runs_differ_in_colour_or_dash() -> None:
    assert len({(colour(style), dash(style)) for style in range(14)}) == 14


def drawn_panels(points: int) -> Figure:
    x = [10.0**place for place in range(points)]
    curves = [Curve(name, x, x, x, x, style) for style, name in enumerate(NAMES)]
    panels = [Panel(TITLE, "updates", TITLE, curves), Panel("rate", "updates", "rate", [])]
    return draw_panels(panels)


def heat() -> Figure:
    values = [[0.5] * 8] * 8
    return draw_heat(TITLE, NAMES, NAMES, values, [["0.50"] * 8] * 8, "ROC-AUC")


@pytest.mark.slow
@pytest.mark.parametrize(
    "figure",
    [
        drawn_panels(3),
        drawn_panels(1),
        draw_points(TITLE, "accuracy", [Point(name, 0.5, 0.4, 0.6) for name in NAMES]),
        draw_confusion(TITLE, NAMES, [[1.0] * 8] * 8),
        heat(),
    ],
    ids=["panels", "one point", "points", "confusion", "heat"],
)
def test_long_names_stay_inside_a_picture_and_leave_room_for_it(figure: Figure) -> None:
    figure.canvas.draw()
    for text in figure.findobj(Text):
        # Numbers beyond the ends of an axis are there, and are not drawn.
        if text.get_visible() and any(map(str.isalpha, text.get_text())):
            box = text.get_window_extent()
            assert box.x0 >= -1, text.get_text()
            assert box.x1 <= figure.bbox.width + 1, text.get_text()
            assert box.y1 <= figure.bbox.height + 1, text.get_text()
    # Inches of what all the words are about.
    assert all(place.bbox.width > 1.5 * figure.dpi for place in figure.axes[:1])
    assert all(place.bbox.height > 2.0 * figure.dpi for place in figure.axes[:1])


def test_intervals_of_many_curves_are_bars_beside_each_other_on_axes_that_hold_them() -> None:
    x = [100.0, 1000.0]
    curves = [Curve(f"{n}", x, [0.4, 0.5], [0.3, 0.4], [0.5, 0.6], n) for n in range(3)]
    figure = draw_panels([Panel("score", "clips", "accuracy", curves)])
    (place,) = figure.axes
    log_ticks(place, x)
    figure.canvas.draw()
    assert place.get_ylim()[0] < 0.3 < 0.6 < place.get_ylim()[1]
    drawn = [line.get_transform().transform((100, 0.4))[0] for line in place.lines]
    assert drawn[0] < drawn[1] < drawn[2]
    assert len(place.collections) == 3


def test_a_panel_without_values_says_so() -> None:
    figure = draw_panels([Panel("loss", "hours of training", "loss", [])])
    assert [text.get_text() for text in figure.axes[0].texts] == ["no values"]


def test_words_are_folded_and_lose_their_middle() -> None:
    assert shortened("abcdefghij", 5) == "ab\N{HORIZONTAL ELLIPSIS}ij"
    assert folded("one two three", 8) == "one two\nthree"
    assert max(map(len, folded("x" * 500, 20).split("\n"))) <= 20


def test_ink_is_read_on_its_ground() -> None:
    assert (ink(1, 1, 1), ink(0, 0, 0), ink(0.2, 0.1, 0.4)) == ("black", "white", "white")


def test_updates_are_counted_in_whole_numbers_for_a_single_point_too() -> None:
    figure = draw_panels([Panel("loss", "updates", "loss", [Curve("a", [10.0], [1.0])])])
    (ax,) = figure.axes
    assert all(tick == round(tick) for tick in ax.get_xticks())
