"""Playlists in the extended M3U format."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from mscol_cli.similar.workflow import Answer
from mscol_cli.system.files import escaped, is_regular


def playlist(answers: Sequence[Answer]) -> Iterator[str]:
    """Yield the lines of a playlist of all neighbours, UTF-8, with absolute paths.

    Clips without a file, such as tracks of a store, are comments. A path that a line cannot hold,
    with line ends or bytes that are not UTF-8, is written as a `file:` address.
    """
    yield "#EXTM3U"
    for answer in answers:
        yield f"# similar to {_one_line(answer.query)}"
        for neighbour in answer.neighbours:
            if not is_regular(neighbour.path):
                yield f"# no file: {_one_line(neighbour.id)}"
                continue
            yield f"#EXTINF:-1,{_one_line(neighbour.id)}"
            if neighbour.start_s:
                yield f"#EXTVLCOPT:start-time={neighbour.start_s:.2f}"
            yield _location(neighbour.path)


def _one_line(text: str) -> str:
    return escaped(text if text.isprintable() else repr(text))


def _location(path: Path) -> str:
    text = str(path)
    fits = text.isprintable() and text == escaped(text) and text == text.strip()
    return text if fits else path.as_uri()
