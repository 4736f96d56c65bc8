"""A report's folder holds what the page uses, and whatever others put there."""

import json
import os
from pathlib import Path

import pytest

from mscol_cli.pages.page import Page, Picture, Pictures, Section, Table
from mscol_cli.pages.render import WRITTEN, page_markdown, write_page


def page(*names: str, text: bytes = b"png") -> Page:
    files = {name: {"pdf": text + b"pdf" + name.encode()} for name in names}
    pictures = [Picture(name, "what it shows", text + name.encode(), files[name]) for name in names]
    return Page("title", "lead", [Section("Pictures", [Pictures(pictures)])], "footer")


def held(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def both(*names: str) -> set[str]:
    return {f"pictures/{name}.{kind}" for name in names for kind in ("png", "pdf")}


PAGES = {"report.html", "report.md", WRITTEN}


def test_pictures_of_an_earlier_page_go(tmp_path: Path) -> None:
    write_page(page("old", "both"), tmp_path)
    assert held(tmp_path) == {*PAGES, *both("old", "both")}
    write_page(page("both", "new"), tmp_path)
    assert held(tmp_path) == {*PAGES, *both("new", "both")}
    write_page(page(), tmp_path)
    assert held(tmp_path) == PAGES
    assert not (tmp_path / "pictures").exists()


def test_files_of_others_stay(tmp_path: Path) -> None:
    write_page(page("old", "changed"), tmp_path)
    (tmp_path / "pictures" / "changed.png").write_bytes(b"drawn over")
    (tmp_path / "pictures" / "mine.png").write_bytes(b"mine")
    (tmp_path / "notes.txt").write_text("mine")
    write_page(page("new"), tmp_path)
    pictures = {*both("new"), "pictures/changed.png", "pictures/mine.png"}
    assert held(tmp_path) == {*PAGES, *pictures, "notes.txt"}


@pytest.mark.parametrize("name", ["../out.txt", "/{root}/out.txt", "a/../../out.txt", "link/x.txt"])
def test_a_list_that_names_files_elsewhere_deletes_none_of_them(tmp_path: Path, name: str) -> None:
    folder, outside = tmp_path / "report", tmp_path / "elsewhere" / "x.txt"
    write_page(page("one"), folder)
    outside.parent.mkdir()
    for path in (outside, tmp_path / "out.txt"):
        path.write_bytes(b"pngone")  # what was written as one.png, whose hash the list has
    (folder / "link").symlink_to(outside.parent)
    content = json.loads((folder / WRITTEN).read_text())
    content["files"][0]["file"] = name.format(root=str(tmp_path).strip(os.sep))
    (folder / WRITTEN).write_text(json.dumps(content))
    write_page(page("two"), folder)
    assert outside.exists()
    assert (tmp_path / "out.txt").exists()
    assert (folder / "pictures" / "one.png").exists()


@pytest.mark.parametrize("damaged", ["{", "[]", '{"files": 3}', '{"files": [{"file": "x"}]}'])
def test_without_a_list_nothing_goes(tmp_path: Path, damaged: str) -> None:
    write_page(page("old"), tmp_path)
    (tmp_path / WRITTEN).write_text(damaged)
    write_page(page("new"), tmp_path)
    assert held(tmp_path) == {*PAGES, *both("old", "new")}


def test_what_a_report_wrote_before_it_failed_goes_with_the_next(tmp_path: Path) -> None:
    blocked = tmp_path / "pictures" / "blocked.png"
    blocked.mkdir(parents=True)
    with pytest.raises(OSError, match=r"blocked\.png"):
        write_page(page("new", "blocked"), tmp_path)
    assert "pictures/new.png" in held(tmp_path)
    blocked.rmdir()
    write_page(page("last"), tmp_path)
    assert held(tmp_path) == {*PAGES, *both("last")}


def test_pictures_have_names_of_their_own_that_any_disk_takes(tmp_path: Path) -> None:
    write_page(page("one", "one", "", "x" * 300), tmp_path)
    names = both("one", "one-2", "picture", "x" * 160)
    assert held(tmp_path) == {*PAGES, *names}
    markdown = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert all(f"({name})" in markdown for name in names)


@pytest.mark.parametrize(("rows", "more"), [(30, "20 more rows"), (14, "")])
def test_a_long_table_is_folded_after_its_first_rows(tmp_path: Path, rows: int, more: str) -> None:
    table = Table(
        "classes", ("class", "score"), [(f"c{row}", "0.5") for row in range(rows)], shown=10
    )
    html, markdown = write_page(Page("t", "l", [Section("S", [table])], "f"), tmp_path)
    text = markdown.read_text(encoding="utf-8")
    first, _, rest = text.partition("<details>")
    assert (f"<summary>{more}</summary>" in rest) == bool(more)
    assert ("| c9 | 0.5 |" in first, "| c10 | 0.5 |" in first) == (True, not more)
    assert rest.count("| class | score |") == bool(more)
    assert html.read_text(encoding="utf-8").count('class="rest"') == (20 if more else 0)


def test_cells_cannot_break_a_table_of_markdown_and_plain_names_stay_readable() -> None:
    rows = [("<i>x", "y\nz"), ("roc_auc", "0.5 [0.4, 0.6]"), ("_a_", "[0.4](b)")]
    table = Table("", ("a|b", "c"), rows)
    assert page_markdown(Page("t", "", [Section("", [table])])).splitlines()[2:] == [
        "| a\\|b | c |",
        "| --- | ---: |",
        "| \\<i\\>x | y z |",
        "| roc_auc | 0.5 [0.4, 0.6] |",
        "| \\_a\\_ | \\[0.4\\](b) |",
    ]


def test_links_to_vector_formats_are_separated() -> None:
    pictures = Pictures([Picture("a", "what it shows", b"", {"pdf": b"", "svg": b""})])
    text = page_markdown(Page("title", "lead", [Section("Pictures", [pictures])], "footer"))
    assert "[PDF](pictures/a.pdf), [SVG](pictures/a.svg)" in text
