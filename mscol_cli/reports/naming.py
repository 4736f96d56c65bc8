"""Names of a page's pictures: short enough for any file system, and no two alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from mscol_cli.reports.page import Block, Page, Picture, Pictures

LONGEST = 160


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
