"""A page as one HTML file and as Markdown with its files, written into a folder of their own."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from mscol_cli.errors import MscolError
from mscol_cli.pages.page import Block, Excerpt, Neighbours, Page, Picture, Pictures
from mscol_cli.system.files import inside, read_json, write_atomically, write_json, write_text

TEMPLATES = Path(__file__).parent / "templates"
PICTURES, SOUNDS = "pictures", "sounds"
LONGEST = 160
WRITTEN = "written.json"
MARKUP = re.compile(r"([\\`*\[\]<>|#~&]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9]))")
"""What Markdown may take for markup; not an underscore within a word."""
INTERVAL = re.compile(r"(\[[-+\d., ]+\])(?![(\[:])")
"""Numbers in brackets, which are no link."""

Entry = tuple[str, str]
"""The name of a file below the folder, and the SHA-256 of what was written."""


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
    # The odd parts are what INTERVAL has found.
    parts = INTERVAL.split(text)
    return "".join(
        part if number % 2 else MARKUP.sub(r"\\\1", part) for number, part in enumerate(parts)
    )


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


def with_own_names(page: Page) -> Page:
    """The page with a name of its own for every picture: where two would share one, or it is too
    long, it is cut and numbered."""
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
    name = next(name for name in _names(picture.name) if name not in taken)
    taken.add(name)
    return replace(picture, name=name)


def _names(wanted: str) -> Iterator[str]:
    name = wanted[:LONGEST].rstrip("-") or "picture"
    yield name
    number = 2
    while True:
        yield f"{name}-{number}"
        number += 1


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files below a folder, and delete those of an earlier call that are not among them.

    Deleted is only what an earlier call listed, lies inside the folder, and is still as it was
    written: files of others, and changed ones, stay. Killed in between, the next call ends it.

    Args:
        folder: Where the files and their list go.
        files: By name, with `/` between its parts, the content of a file.

    Raises:
        OSError: The folder cannot be written.
    """
    before = _listed(folder)
    entries = [(name, _hash(content)) for name, content in files.items()]
    # First of all: what is written now is then known, even if nothing after it comes to be.
    _list(folder, [*entries, *before])
    for name, content in files.items():
        _write_bytes(folder / name, content)
    for name, digest in before:
        if name not in files:
            _delete(folder, name, digest)
    _list(folder, entries)


def _listed(folder: Path) -> list[Entry]:
    """What an earlier call wrote; nothing where its list is gone or damaged: all then stays."""
    try:
        content = read_json(folder / WRITTEN, "report")
        return [(str(one["file"]), str(one["sha256"])) for one in content["files"]]
    except (MscolError, LookupError, TypeError):
        return []


def _list(folder: Path, entries: Iterable[Entry]) -> None:
    files: Sequence[Mapping[str, str]] = [
        {"file": name, "sha256": digest} for name, digest in dict.fromkeys(entries)
    ]
    about = "Files that mscol wrote beside the page; its next report here deletes what it no longer"
    write_json(folder / WRITTEN, {"about": f"{about} uses.", "files": files})


def _delete(folder: Path, name: str, digest: str) -> None:
    try:
        path = inside(folder, name)
        # A folder below may be a link to elsewhere.
        real = path.resolve().is_relative_to(folder.resolve())
        if not real or path.is_symlink() or _hash(path.read_bytes()) != digest:
            return
        path.unlink()
        if path.parent != folder and not any(path.parent.iterdir()):
            path.parent.rmdir()
    except (MscolError, OSError, ValueError):
        pass  # no name of a file inside, or it is gone: nothing of ours is in the way


def _hash(content: bytes) -> str:
    return sha256(content).hexdigest()


def _write_bytes(path: Path, content: bytes) -> None:
    def fill(temporary: Path) -> None:
        temporary.write_bytes(content)

    write_atomically(path, fill)
