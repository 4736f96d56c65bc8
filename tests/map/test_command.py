"""`mscol map`: the page, and what a browser makes of it."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mscol_cli.app import run
from tests.conftest import Command
from tests.helpers.audio import tones, write_audio
from tests.helpers.browser import BROWSER, Tab, opened
from tests.helpers.folders import write_vectors
from tests.helpers.messages import mentions

needs_browser = [
    pytest.mark.slow,
    pytest.mark.skipif(not BROWSER, reason="no browser to look with"),
]
HOSTILE = "<script>document.title='hacked'</script><!--<img src=x onerror=alert(1)>\n&amp;.wav"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Vectors of thirty files in three folders, some of which exist."""
    root = tmp_path_factory.mktemp("map")
    rng = np.random.default_rng(0)
    names = [f"{'abc'[row % 3]}/song {row:02d}.wav" for row in range(30)] + [HOSTILE]
    vectors = {
        name: np.eye(3)[row % 3] + 0.1 * rng.standard_normal(3) for row, name in enumerate(names)
    }
    for name in names[:4]:
        write_audio(root / "music" / name, tones(0.2))
    return write_vectors(root / "vectors", vectors, root / "music")


def page_data(page: Path) -> dict[str, Any]:
    html = page.read_text(encoding="utf-8")
    (text,) = re.findall(r'<script type="application/json" id="data">(.*)</script>', html)
    data: dict[str, Any] = json.loads(text)
    return data


def test_the_page_holds_names_positions_neighbours_and_groups(
    mscol: Command, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mscol("map", folder, "-o", "out/map.html", "--clusters", 3, "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["clips"], result["layout"], result["playable"]) == (31, "t-SNE", 4)
    data = page_data(tmp_path / "out" / "map.html")
    assert data["names"][0] == HOSTILE
    assert [one["name"] for one in data["colourings"]] == ["folder", "cluster"]
    near = np.frombuffer(b64decode(data["neighbours"]), "<u4").reshape(31, data["near"])
    similarities = np.frombuffer(b64decode(data["similarities"]), "<i2").reshape(near.shape)
    letters = [name[0] for name in data["names"]]
    assert all(letters[near[row, 0]] == letters[row] for row in range(1, 31))
    assert all(row not in near[row] for row in range(31))
    assert (np.diff(similarities.astype(int), axis=1) <= 0).all()
    positions = np.frombuffer(b64decode(data["positions"]), "<u2").reshape(31, 2)
    assert np.ptp(positions, axis=0).max() == 65535


def test_the_same_vectors_make_the_same_page(mscol: Command, folder: Path, tmp_path: Path) -> None:
    for name in ("one.html", "two.html"):
        assert mscol("map", folder, "-o", name) == 0
    assert (tmp_path / "one.html").read_bytes() == (tmp_path / "two.html").read_bytes()


def test_links_are_relative_below_the_page_and_can_be_left_out(
    mscol: Command, folder: Path, tmp_path: Path
) -> None:
    inside = folder.parent / "map.html"
    for output, base in ((inside, "./music/"), (tmp_path / "map.html", "file:///")):
        assert mscol("map", folder, "-o", output) == 0
        links = page_data(output)["links"]
        assert links["base"].startswith(base)
        assert sum(map(bool, links["names"])) == 4
        assert links["names"][1].endswith("song%2000.wav")
    assert mscol("map", folder, "-o", inside, "--no-audio") == 0
    assert page_data(inside)["links"] is None
    assert str(folder.parent) not in inside.read_text()


@pytest.mark.parametrize(
    ("content", "column", "groups"),
    [
        ("id,mood\na/song 00.wav,calm\nb/song 01.wav,wild\n", "", ["calm", "wild", "no value"]),
        ("id,bpm,mood\na/song 00.wav,9,calm\n", "", ["no value", "calm"]),
        (
            "id,rank,class,score\na/song 00.wav,1,rock,0.9\na/song 00.wav,2,jazz,0.1\n",
            "",
            ["rock"],
        ),
        ("id,bpm,mood\na/song 00.wav,9,calm\n", ":bpm", ["no value", "9"]),
        ("id,rock,jazz\na/song 00.wav,0.2,0.7\nb/song 01.wav,0.6,0.1\n", "", ["jazz", "rock"]),
    ],
)
def test_clips_are_coloured_by_a_csv_file(
    mscol: Command, folder: Path, tmp_path: Path, content: str, column: str, groups: list[str]
) -> None:
    (tmp_path / "tags.csv").write_text(content)
    assert mscol("map", folder, "--color", f"tags.csv{column}") == 0
    first, *others = page_data(tmp_path / "map.html")["colourings"]
    assert {group["name"] for group in first["groups"]} == {*groups, "no value"}
    assert [one["name"] for one in others] == ["folder", "cluster"]


@pytest.mark.parametrize(
    ("arguments", "code", "facts"),
    [
        (["--color", "gone.csv"], 4, ["gone.csv", "--color"]),
        (["--color", "plain.csv"], 2, ["plain.csv", "'id'"]),
        (["--color", "tags.csv:key"], 2, ["tags.csv", "'key'", "mood"]),
        (["--color", "other.csv"], 2, ["other.csv", "elsewhere"]),
        (["--clusters", "0"], 2, ["--clusters"]),
        (["-o", "."], 2, ["folder"]),
    ],
)
def test_bad_options_are_refused(
    mscol: Command,
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: Sequence[str],
    code: int,
    facts: Sequence[str],
) -> None:
    (tmp_path / "plain.csv").write_text("name\nx\n")
    (tmp_path / "tags.csv").write_text("id,mood\na/song 00.wav,calm\n")
    (tmp_path / "other.csv").write_text("id,mood\nelsewhere,calm\n")
    assert mscol("map", folder, *arguments) == code
    assert mentions(capsys.readouterr().err, *facts)
    assert not (tmp_path / "map.html").exists()


def test_a_map_of_one_clip_is_a_page(mscol: Command, tmp_path: Path) -> None:
    assert mscol("map", write_vectors(tmp_path / "v", {"a": [1, 2, 3]})) == 0
    assert page_data(tmp_path / "map.html")["near"] == 0


@pytest.fixture(scope="module")
def page(folder: Path) -> Path:
    path = folder.parent / "page" / "map.html"
    assert run(["map", str(folder), "-o", str(path)]) == 0
    return path


@pytest.fixture(scope="module")
def browser(page: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with opened(page, tmp_path_factory.mktemp("profile")) as tab:
        yield tab


@pytest.fixture
def tab(browser: Tab, page: Path) -> Iterator[Tab]:
    """The page as it opens, drawn."""
    browser.open(page)
    browser.value(FRAME)
    yield browser
    assert not browser.problems()


SELECTED = "document.querySelector('#selected h2').textContent"
FRAME = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
FOCUSED = "document.activeElement.textContent || document.activeElement.id"


class TestInABrowser:
    pytestmark = needs_browser

    def test_it_draws_the_clips_and_loads_nothing(self, page: Path, tab: Tab) -> None:
        shades = tab.value(
            "(() => { const map = document.getElementById('map'), all = new Set();"
            "const data = map.getContext('2d').getImageData(0, 0, map.width, map.height).data;"
            "for (let at = 0; at < data.length; at += 4)"
            " all.add(data.slice(at, at + 3).join());"
            "return [...all] })()"
        )
        assert {"0,114,178", "213,94,0", "0,158,115"} <= set(shades)
        assert [url for url in tab.requests() if not url.startswith("data:")] == [page.as_uri()]

    def test_names_are_text_and_never_markup(self, tab: Tab) -> None:
        tab.value("document.getElementById('text').focus()")
        tab.type("<script>")
        tab.press("Enter")
        assert tab.value(SELECTED) == HOSTILE
        assert tab.value("document.title") == "Map of vectors"
        assert tab.value("document.querySelectorAll('img').length") == 0
        assert tab.value("document.querySelectorAll('script').length") == 2

    def test_the_keyboard_searches_selects_and_moves_to_neighbours(self, tab: Tab) -> None:
        tab.value("document.getElementById('text').focus()")
        tab.type("SONG 0")
        assert tab.value("document.getElementById('matches').textContent") == "10 matches"
        tab.press("Tab")
        assert tab.value(FOCUSED) == "a/song 00.wav"
        tab.press("Tab")
        tab.press("Enter")
        assert tab.value(SELECTED) == "a/song 03.wav"
        assert tab.value(FOCUSED) == "a/song 03.wav"
        first = "document.querySelector('#selected ol button')"
        near = tab.value(f"{first}.firstChild.textContent")
        tab.value(f"{first}.focus()")
        assert tab.value(f"getComputedStyle({first}).outlineStyle") == "solid"
        tab.press("Enter")
        assert tab.value(SELECTED) == near
        tab.press("Escape")
        assert tab.value("document.getElementById('selected').hidden")

    def test_keys_pan_and_zoom_the_map(self, tab: Tab) -> None:
        tab.value("document.getElementById('map').focus()")
        picture = "document.getElementById('map').toDataURL()"
        seen = {tab.value(picture)}
        for key in ("+", "ArrowRight", "ArrowDown"):
            tab.press(key)
            tab.value(FRAME)
            seen.add(tab.value(picture))
        assert len(seen) == 4
        tab.press("Enter")
        assert ".wav" in tab.value(SELECTED)

    def test_a_click_selects_a_clip_and_plays_it(self, tab: Tab) -> None:
        # A search pales all other points: what is left of the map is one clip.
        tab.value("document.getElementById('text').focus()")
        tab.type("song 00")
        tab.value(FRAME)
        x, y = tab.value(
            "(() => { const map = document.getElementById('map');"
            "const box = map.getBoundingClientRect(), xs = [], ys = [];"
            "const data = map.getContext('2d').getImageData(0, 0, map.width, map.height).data;"
            "const colors = ['0,114,178', '213,94,0', '0,158,115', '204,121,167'];"
            "for (let at = 0; at < data.length; at += 4)"
            " if (colors.includes(data.slice(at, at + 3).join()))"
            " { xs.push((at / 4) % map.width); ys.push(Math.floor(at / 4 / map.width)); }"
            "const mean = (all) => all.reduce((sum, one) => sum + one, 0) / all.length;"
            "return [box.x + mean(xs), box.y + mean(ys)] })()"
        )
        tab.click(x, y)
        assert tab.value(SELECTED) == "a/song 00.wav"
        played = "document.querySelector('audio')"
        assert tab.value(f"{played}.src").endswith("music/a/song%2000.wav")
        ended = f"new Promise((done) => {{ {played}.onended = () => done(1); {played}.play() }})"
        assert tab.value(ended) == 1

    def test_groups_are_hidden_and_shown(self, tab: Tab) -> None:
        button = "document.querySelector('#legend button')"
        states = [tab.value(f"({button}.click(), {button}.ariaPressed)") for _ in range(2)]
        assert states == ["false", "true"]

    def test_it_fits_a_phone(self, browser: Tab, page: Path) -> None:
        browser.open(page, width=390)
        assert browser.value("document.documentElement.scrollWidth") <= 390
        assert browser.value("document.getElementById('map').clientWidth") > 300
