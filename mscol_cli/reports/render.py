"""A page as one HTML file that needs nothing else, and as Markdown with its files beside it."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from mscol_cli.files import write_text
from mscol_cli.reports.naming import with_own_names
from mscol_cli.reports.page import Excerpt, Neighbours, Page, Pictures
from mscol_cli.reports.written import write_files

TEMPLATES = Path(__file__).parent / "templates"
PICTURES, SOUNDS = "pictures", "sounds"


def write_page(page: Page, folder: Path) -> tuple[Path, Path]:
    """Write `report.html`, and `report.md` with `pictures/` and `sounds/`; returns the two.

    Pictures and sounds that an earlier page in this folder had, and this one has not, are deleted.

    Raises:
        OSError: The folder cannot be written.
    """
    page = replace(page, sections=[section for section in page.sections if section.blocks])
    page = with_own_names(page)
    html, markdown = folder / "report.html", folder / "report.md"
    write_files(folder, dict(_files(page)))
    write_text(markdown, page_markdown(page))
    write_text(html, page_html(page))
    return html, markdown


def page_html(page: Page) -> str:
    """The page with everything inside; every value in it is escaped."""
    environment = _environment(autoescape=True)
    environment.filters["data_uri"] = _data_uri
    style = (TEMPLATES / "style.css").read_text(encoding="utf-8")
    return environment.get_template("page.html").render(page=page, style=style)


def page_markdown(page: Page) -> str:
    """The page with links to its pictures and sounds; every value in it is escaped."""
    environment = _environment(finalize=_escaped)
    environment.filters |= {"code": _code, "verbatim": _Verbatim}
    text = environment.get_template("page.md").render(page=page)
    text = re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


class _Verbatim(str):
    """Text that stays as it is."""


def _environment(
    *, autoescape: bool = False, finalize: Callable[[object], object] | None = None
) -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=autoescape,
        finalize=finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _escaped(value: object) -> object:
    if isinstance(value, _Verbatim):
        return value
    text = " ".join(str(value).split())
    return re.sub(r"([\\`*_\[\]<>|#~&])", r"\\\1", text)


def _code(lines: list[str]) -> str:
    """A block of code, under a fence that none of its lines can end."""
    text = "\n".join(lines)
    longest = max((len(ticks) for ticks in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return _Verbatim(f"{fence}bash\n{text}\n{fence}")


def _data_uri(content: bytes, kind: str) -> str:
    return f"data:{kind};base64,{b64encode(content).decode()}"


def _files(page: Page) -> Iterator[tuple[str, bytes]]:
    for block in (block for section in page.sections for block in section.blocks):
        if isinstance(block, Pictures):
            for one in block.pictures:
                yield f"{PICTURES}/{one.name}.png", one.png
                yield from (
                    (f"{PICTURES}/{one.name}.{kind}", content)
                    for kind, content in one.vectors.items()
                )
        if isinstance(block, Neighbours):
            for excerpt in _excerpts(block):
                if excerpt.flac is not None:
                    yield f"{SOUNDS}/{excerpt.name}.flac", excerpt.flac


def _excerpts(block: Neighbours) -> list[Excerpt]:
    return [block.query, *(excerpt for excerpt, _ in block.nearest)]
