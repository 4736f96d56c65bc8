"""The table as Markdown, for docs/formats.md: `python -m tests.audio_table.markdown > docs/formats.md`."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator

from mscol_cli.audio.suffixes import AUDIO_SUFFIXES
from tests.audio_table.built import cells
from tests.audio_table.columns import COLUMNS
from tests.audio_table.impostors import IMPOSTORS
from tests.audio_table.judge import VERDICTS
from tests.audio_table.rows import ROWS, Row

_HEAD = """\
# Audio formats

`separate`, `embed` and `probe` read these files and need no program besides: WAV, RF64, Wave64,
AIFF, AU, CAF and FLAC are decoded by libsndfile, all others by FFmpeg's libraries, which PyAV brings.
What a file contains decides, not what it is named; in folders, files with these endings are taken:
{suffixes}.

Damage is never passed over in silence where a file gives any sign of it. Each line below is a kind of
file and each column something that happens to it. A test makes every one of these files, decodes it and
compares with this table, which is printed by the same test
(`python -m tests.audio_table.markdown`).

* **all**: every sample comes out, once and in order.
* **short**: what is there is used. `mscol store manifest` has the status `short`, the seconds that were
  decoded and the seconds that the file declares.
* **refused**: the file is skipped and named with the reason, and the exit code is 3.
* **unnoticed**: what is there is used, and nobody could tell that it is not all: the file neither
  declares a length nor has checksums that the damage breaks. Raw samples (WAV, AIFF, AU, CAF) overwritten
  by zeros or by noise are valid samples.
"""

_TAIL = """
A file that is empty, or that is not audio ({impostors}) is refused under each of the {count} endings above,
and so is a header with a sample rate or a number of channels that makes no sense, before it costs memory.
Playlists, concat scripts and session descriptions are refused, and the files that they name are not
opened.
"""


def page() -> str:
    """The whole page."""
    suffixes = ", ".join(f"`{suffix}`" for suffix in sorted(AUDIO_SUFFIXES))
    kinds = ", ".join(kind for kind in IMPOSTORS if kind != "empty")
    tail = _TAIL.format(impostors=kinds, count=len(AUDIO_SUFFIXES))
    return (
        "\n".join([_HEAD.format(suffixes=suffixes), *_table(), "", _counts(), tail]).rstrip() + "\n"
    )


def _table() -> Iterator[str]:
    yield f"| file | {' | '.join(COLUMNS)} |"
    yield "|---" * (1 + len(COLUMNS)) + "|"
    yield from map(_line, ROWS)


def _line(row: Row) -> str:
    words = (VERDICTS[letter].word for letter in row.cells)
    return f"| {row.name} (`{row.suffix}`) | {' | '.join(words)} |"


def _counts() -> str:
    counts = Counter(VERDICTS[letter].word for _, _, letter in cells())
    listed = ", ".join(f"{count} {word}" for word, count in counts.most_common())
    return f"{len(ROWS)} kinds of files, {counts.total()} files: {listed}."


if __name__ == "__main__":
    sys.stdout.write(page())
