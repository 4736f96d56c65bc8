"""The page of a map: all data in one HTML file that loads nothing else."""

from __future__ import annotations

import json
import os
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from mscol_cli.map.colouring import Colouring
from mscol_cli.pages.render import template_html
from mscol_cli.similar.search import FloatArray, Match
from mscol_cli.system.files import absolute_path, escaped, is_regular

NOTHING = np.iinfo(np.uint32).max
"""In place of a neighbour that there is not."""


@dataclass(frozen=True)
class Map:
    """Content of a map.

    Attributes:
        title: Heading of the page.
        lead: Introductory sentence.
        footer: Version and model.
        ids: Names of the clips.
        links: Address of each clip's audio, empty without; None for no audio at all.
        positions: (clips, 2), in any unit.
        neighbours: Nearest clips of each clip.
        colourings: Groups to choose from; the first is shown.
    """

    title: str
    lead: str
    footer: str
    ids: Sequence[str]
    links: Sequence[str] | None
    positions: FloatArray
    neighbours: Sequence[Sequence[Match]]
    colourings: Sequence[Colouring]


def map_html(content: Map) -> str:
    """Render a map as a single HTML file; all names are escaped."""
    return template_html(
        "map.html",
        title=escaped(content.title),
        lead=escaped(content.lead),
        footer=escaped(content.footer),
        count=f"{len(content.ids):,}",
        data=_script_json(_data(content)),
    )


def audio_link(path: Path, page: Path) -> str:
    """Address of an audio file: relative if it is below the folder of the page, else absolute.

    Empty if the file does not exist.
    """
    if not is_regular(path):
        return ""
    folder = absolute_path(page.parent)
    if path.is_relative_to(folder):
        # Begins with ./ so that a colon in a name is not taken for a scheme.
        return "./" + quote(os.fsencode(path.relative_to(folder).as_posix()))
    return path.as_uri()


def _data(content: Map) -> dict[str, Any]:
    near, similarities = _neighbours(content.neighbours)
    return {
        "names": [escaped(name) for name in content.ids],
        "links": _links(content.links),
        "positions": _packed(_quantised(content.positions)),
        "near": near.shape[1],
        "neighbours": _packed(near),
        "similarities": _packed(similarities),
        "colourings": [
            {
                "name": colouring.name,
                "groups": [asdict(group) for group in colouring.groups],
                "members": _packed(colouring.members),
            }
            for colouring in content.colourings
        ],
    }


def _quantised(positions: FloatArray) -> NDArray[np.uint16]:
    """Scale positions (clips, 2) to the range of 16 bits, in a square; the y axis points down."""
    middle = (positions.max(axis=0) + positions.min(axis=0)) / 2
    span = float(np.ptp(positions, axis=0).max()) or 1.0
    square = (positions - middle) * (1.0, -1.0) / span + 0.5
    scaled: NDArray[np.uint16] = np.clip(np.rint(square * 65535), 0, 65535).astype("<u2")
    return scaled


def _neighbours(
    matches: Sequence[Sequence[Match]],
) -> tuple[NDArray[np.uint32], NDArray[np.int16]]:
    """Numbers and similarities in thousandths of the neighbours, both (clips, neighbours)."""
    most = max(map(len, matches), default=0)
    near = np.full((len(matches), most), NOTHING, dtype="<u4")
    similarities = np.zeros((len(matches), most), dtype="<i2")
    for clip, row in enumerate(matches):
        near[clip, : len(row)] = [match.clip for match in row]
        similarities[clip, : len(row)] = [round(1000 * match.similarity) for match in row]
    return near, similarities


def _links(links: Sequence[str] | None) -> dict[str, Any] | None:
    """The links with their common beginning written once."""
    present = [link for link in links or () if link]
    if links is None or not present:
        return None
    first, last = min(present), max(present)
    same = next(
        (at for at, pair in enumerate(zip(first, last, strict=False)) if len({*pair}) > 1), 0
    )
    base = first[: first.rfind("/", 0, same) + 1]
    return {"base": base, "names": [link.removeprefix(base) for link in links]}


def _packed(values: NDArray[Any]) -> str:
    return b64encode(np.ascontiguousarray(values).tobytes()).decode()


def _script_json(content: Any) -> str:
    """JSON for a script element, which any `</script>` or `<!--` in a name would otherwise end."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
