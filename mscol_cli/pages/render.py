"""Rendering of pages as a single HTML file, and as Markdown with pictures and sounds."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from itertools import count
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from mscol_cli.errors import MscolError
from mscol_cli.pages.page import Block, Neighbours, Page, Picture, Pictures
from mscol_cli.system.files import inside, write_bytes, write_json, write_text
from mscol_cli.system.json_files import INVALID, read_json

TEMPLATES = Path(__file__).parent / "templates"
PICTURES, SOUNDS = "pictures", "sounds"
MAX_NAME = 160
WRITTEN = "written.json"
MARKUP = re.compile(r"([\\`*\[\]<>|#~&]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9]))")
"""Characters with a meaning in Markdown, except underscores within words."""
INTERVAL = re.compile(r"(\[[-+\d., ]+\])(?![(\[:])")
"""Numbers in brackets, which are not links."""

Entry = tuple[str, str]
"""Name of a file below the folder, and its SHA-256."""


def write_page(page: Page, folder: Path) -> tuple[Path, Path]:
    """Write `report.html`, and `report.md` with `pictures/` and `sounds/`; returns both paths.

    Unused pictures and sounds of an earlier page in the folder are deleted.

    Raises:
        OSError: The folder cannot be written.
    """
    page = replace(page, sections=[section for section in page.sections if section.blocks])
    page = with_unique_names(page)
    html, markdown = folder / "report.html", folder / "report.md"
    write_files(folder, dict(_files(page)))
    write_text(markdown, page_markdown(page))
    write_text(html, page_html(page))
    return html, markdown


def page_html(page: Page) -> str:
    """Render a page as a single HTML file; all values are escaped."""
    style = (TEMPLATES / "style.css").read_text(encoding="utf-8")
    return template_html("page.html", page=page, style=style)


def template_html(name: str, **values: object) -> str:
    """Render a template as HTML; all values are escaped."""
    environment = _environment(autoescape=True)
    environment.filters["data_uri"] = _data_uri
    return environment.get_template(name).render(values)


def page_markdown(page: Page) -> str:
    """Render a page as Markdown with links to pictures and sounds; all values are escaped."""
    environment = _environment(finalize=_escaped)
    environment.filters |= {"code": _code, "verbatim": _Verbatim}
    text = environment.get_template("page.md").render(page=page)
    text = re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


class _Verbatim(str):
    """Text that is not escaped."""


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
    # The odd parts are matches of INTERVAL.
    parts = INTERVAL.split(text)
    return "".join(
        part if number % 2 else MARKUP.sub(r"\\\1", part) for number, part in enumerate(parts)
    )


def _code(lines: list[str], language: str) -> str:
    """Render a code block, with a fence that its lines do not contain."""
    text = "\n".join(lines)
    longest = max((len(ticks) for ticks in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return _Verbatim(f"{fence}{language}\n{text}\n{fence}")


def _data_uri(content: bytes, kind: str) -> str:
    return f"data:{kind};base64,{b64encode(content).decode()}"


def _files(page: Page) -> Iterator[tuple[str, bytes]]:
    for block in (block for section in page.sections for block in section.blocks):
        if isinstance(block, Pictures):
            for picture in block.pictures:
                for kind, content in {"png": picture.png, **picture.vectors}.items():
                    yield f"{PICTURES}/{picture.name}.{kind}", content
        if isinstance(block, Neighbours):
            for excerpt in (block.query, *(excerpt for excerpt, _ in block.nearest)):
                if excerpt.flac is not None:
                    yield f"{SOUNDS}/{excerpt.name}.flac", excerpt.flac


def with_unique_names(page: Page) -> Page:
    """Give all pictures unique names: long names are cut, and repeated names are numbered."""
    taken: set[str] = set()
    sections = [
        replace(section, blocks=[_block(block, taken) for block in section.blocks])
        for section in page.sections
    ]
    return replace(page, sections=sections)


def _block(block: Block, taken: set[str]) -> Block:
    if isinstance(block, Pictures):
        return Pictures([_picture(picture, taken) for picture in block.pictures])
    return block


def _picture(picture: Picture, taken: set[str]) -> Picture:
    base = picture.name[:MAX_NAME].rstrip("-") or "picture"
    names = (base if number == 1 else f"{base}-{number}" for number in count(1))
    name = next(name for name in names if name not in taken)
    taken.add(name)
    return replace(picture, name=name)


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files below a folder, and delete unused files of an earlier call.

    Only files that an earlier call listed are deleted, if they are inside the folder and
    unchanged. If a call is killed, the next one finishes its deletions.

    Args:
        folder: Folder of the files and their list.
        files: Content of each file, by name with `/` between its parts.

    Raises:
        OSError: The folder cannot be written.
    """
    before = _listed(folder)
    entries = [(name, _hash(content)) for name, content in files.items()]
    # List new files first, so that they are known even if this call is killed.
    _list(folder, [*entries, *before])
    for name, content in files.items():
        write_bytes(folder / name, content)
    for name, digest in before:
        if name not in files:
            _delete(folder, name, digest)
    _list(folder, entries)


def _listed(folder: Path) -> list[Entry]:
    """Files of an earlier call; empty if their list is missing or damaged."""
    try:
        content = read_json(folder / WRITTEN, "report")
        return [(str(entry["file"]), str(entry["sha256"])) for entry in content["files"]]
    except (MscolError, *INVALID):
        return []


def _list(folder: Path, entries: Iterable[Entry]) -> None:
    files: Sequence[Mapping[str, str]] = [
        {"file": name, "sha256": digest} for name, digest in dict.fromkeys(entries)
    ]
    about = "Files that mscol wrote beside the page; the next report here deletes unused ones."
    write_json(folder / WRITTEN, {"about": about, "files": files})


def _delete(folder: Path, name: str, digest: str) -> None:
    try:
        path = inside(folder, name)
        # A subfolder may be a link to the outside.
        real = path.resolve().is_relative_to(folder.resolve())
        if not real or path.is_symlink() or _hash(path.read_bytes()) != digest:
            return
        path.unlink()
        if path.parent != folder and not any(path.parent.iterdir()):
            path.parent.rmdir()
    except (MscolError, OSError, ValueError):
        pass  # the file is outside, or does not exist


def _hash(content: bytes) -> str:
    return sha256(content).hexdigest()
