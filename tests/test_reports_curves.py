"""Pictures of curves."""

from __future__ import annotations

from pathlib import Path

from mscol_cli.reports.curves import Curve, Panel, colour, dash, draw_panels, save_picture


def test_a_picture_is_a_png_with_every_panel_and_line(tmp_path: Path) -> None:
    lines = [Curve(f"run {style}", [0, 1], [style, 2], style=style) for style in range(3)]
    panels = [Panel(name, "step", name, lines, level=0.5) for name in ("loss", "accuracy", "rate")]
    figure = draw_panels(panels)
    save_picture(figure, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    shown = [place for place in figure.axes if place.axison]
    assert [place.get_ylabel() for place in shown] == ["loss", "accuracy", "rate"]
    assert all(len(place.lines) == 3 + 1 for place in shown)


def test_an_interval_is_shaded() -> None:
    curve = Curve("run", [0, 1], [0.5, 0.6], low=[0.4, 0.5], high=[0.6, 0.7])
    figure = draw_panels([Panel("score", "step", "accuracy", [curve])])
    assert len(figure.axes[0].collections) == 1


def test_fourteen_runs_differ_in_colour_or_dash() -> None:
    assert len({(colour(style), dash(style)) for style in range(14)}) == 14
