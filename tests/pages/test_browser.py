"""What a browser makes of a report."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from mscol_cli.pages.page import Page, Section, Table
from mscol_cli.pages.render import write_page
from tests.conftest import Command
from tests.helpers.browser import BROWSER, browse

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not BROWSER, reason="no browser to look with"),
]


class Elements(HTMLParser):
    """Counts elements, and keeps what they link to."""

    def __init__(self) -> None:
        super().__init__()
        self.count: dict[str, int] = {}
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.count[tag] = self.count.get(tag, 0) + 1
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]


@pytest.fixture
def page(mscol: Command, trained: Path, tmp_path: Path) -> Path:
    """A report on a run."""
    assert mscol("report", trained, "-o", tmp_path / "report", "--neighbours", 1) == 0
    return tmp_path / "report" / "report.html"


def test_a_browser_shows_headings_tables_and_pictures(page: Path, tmp_path: Path) -> None:
    elements = Elements()
    elements.feed(browse(page, tmp_path / "profile", "--dump-dom").stdout)
    assert elements.count["h1"] == 1
    assert elements.count["h2"] >= 4
    assert elements.count["table"] >= 3
    assert elements.count["img"] >= 2
    assert elements.count["audio"] >= 2
    assert "script" not in elements.count
    assert all(link.startswith(("data:", "#")) for link in elements.links)


def requests(page: Path, folder: Path) -> int:
    """How often a page asked the network for something."""
    log = folder / "net.json"
    browse(page, folder / "profile", f"--log-net-log={log}", "--dump-dom")
    initiators = re.findall(r'"initiator":"([^"]*)"', log.read_text(encoding="utf-8"))
    # What a browser asks its makers for on its own has no origin.
    return sum(initiator != "not an origin" for initiator in initiators)


def test_the_page_asks_the_network_for_nothing(page: Path, tmp_path: Path) -> None:
    curious = tmp_path / "curious.html"
    pixel = '<main><img alt="" src="http://127.0.0.1:9/pixel.png">'
    curious.write_text(page.read_text(encoding="utf-8").replace("<main>", pixel))
    assert requests(curious, tmp_path) > 0
    assert requests(page, tmp_path) == 0


INTERVAL = "0.123 ± 0.045 [0.100, 0.145]".replace(" ± ", "\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}")
MODEL = "runs/msa+mws-efficientnet_b0-with-a-long-name-{}@10000"
FRAME = """<!doctype html><title>none</title><iframe src="{page}" style="width: {width}px"></iframe>
<script>onload = () => {{ document.title = document.querySelector("iframe").contentDocument.title
}}</script>"""


def measured(page: Path, folder: Path, width: int, script: str) -> str:
    """What a script finds in a page of that width; a window cannot be as narrow as a phone."""
    html = page.read_text(encoding="utf-8")
    html = html.replace("</body>", f"<script>document.title = {script}</script></body>")
    (folder / "measured.html").write_text(html, encoding="utf-8")
    framed = folder / "framed.html"
    framed.write_text(FRAME.format(page=(folder / "measured.html").as_uri(), width=width))
    options = ("--allow-file-access-from-files", "--window-size=1200,900", "--dump-dom")
    dom = browse(framed, folder / "profile", *options).stdout
    found = re.search(r"<title>(.*?)</title>", dom)
    assert found, dom[:300]
    return found[1]


def laid_out(page: Path, folder: Path, width: int) -> tuple[int, int]:
    """How wide a page is, and how wide the window is."""
    script = "document.documentElement.scrollWidth + ' ' + innerWidth"
    wide, window = measured(page, folder, width, script).split()
    return int(wide), int(window)


@pytest.mark.parametrize("columns", [2, 6, 10, 14])
def test_no_table_is_wider_than_paper_or_screen(tmp_path: Path, columns: int) -> None:
    header = ["model", *(MODEL.format(column) for column in range(columns))]
    rows = [[MODEL.format(row), *[INTERVAL] * columns] for row in range(3)]
    tables = [Table("scores", header, rows), Table("settings", header, rows, numbers=False)]
    page, _ = write_page(Page("title", "lead", [Section("Scores", tables)], "footer"), tmp_path)
    wide, window = laid_out(page, tmp_path, 390)
    assert wide <= window
    # As on paper, whose 182 mm between margins are 688 px; there nothing can be scrolled.
    html = page.read_text(encoding="utf-8").replace("@media print", "@media all")
    page.write_text(html)
    wide, window = laid_out(page, tmp_path, 688)
    assert wide <= window


def test_a_whole_report_fits_a_phone(page: Path, tmp_path: Path) -> None:
    wide, window = laid_out(page, tmp_path, 390)
    assert wide <= window


def test_folded_rows_are_shown_when_asked_for(tmp_path: Path) -> None:
    rows = [(f"class {row}", "0.5") for row in range(30)]
    table = Table("classes", ("class", "score"), rows, shown=10)
    page, _ = write_page(Page("t", "l", [Section("Classes", [table])], "f"), tmp_path)
    shown = "[...document.querySelectorAll('tbody tr')].filter(row => row.offsetHeight).length"
    script = f"{shown} + ' ' + (document.querySelector('details').open = true, {shown})"
    assert measured(page, tmp_path, 390, script) == "10 30"
