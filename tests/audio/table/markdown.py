"""The table as Markdown: `python -m tests.audio.table.markdown > docs/formats.md`."""

from __future__ import annotations

import sys
import textwrap
from collections import Counter
from collections.abc import Iterator

from mscol_cli.audio.suffixes import AUDIO_SUFFIXES
from tests.audio.table.built import cells
from tests.audio.table.columns import COLUMNS
from tests.audio.table.impostors import IMPOSTORS
from tests.audio.table.judge import VERDICTS
from tests.audio.table.rows import ROWS, Row

_HEAD = """\
# Audio formats

mscol reads the files below without any other program: WAV, RF64, Wave64, AIFF, AU, CAF and FLAC
with libsndfile, everything else with FFmpeg's libraries, which PyAV includes. The content of a file
decides how it is read, not its name. Folders are searched for files that end in
{suffixes}.

## What happens to damaged files

Each row is a kind of file, each column something that happened to it. The tests build every one of
these files, decode it, and compare the result with this table.

* **all**: every sample is decoded, once and in order.
* **short**: what is left is used. A warning names the file, and `mscol store manifest` lists it as
  `short`, with what is missing, the seconds decoded and the seconds that the file declares.
  `mscol vectors ls` and the notes of a probe list it, too.
* **short, length unknown**: the same, for a file that does not say how long it should be.
* **refused**: the file is skipped and named with the reason, and the exit code is 3. Lossless files
  are refused wherever a sample is missing.
* **unnoticed**: what is left is used as if it were all, because nothing in the file shows the
  damage. Zeros and noise are valid samples in WAV, RF64, Wave64, AIFF, AU, CAF and VOC, which have
  no checksums; zeros are silence in ADPCM and GSM, and damage in u-law, A-law and unsigned 8 bits.
  A file without a length may end anywhere, and one whose samples are not in frames may lack any of
  them.

Headers of lossy files are inexact: up to 0.25 s less than they declare is taken for all, if no
packet is damaged. If a header counts fewer samples than the file holds, MP3 and FLAC files are read
to their end, and WAV, AIFF, CAF and AU files are refused. Two files joined to one are decoded if
they are MP3, AAC, Ogg or Matroska, and refused in other formats.
"""

_TAIL = """
## What is not audio

An empty file is refused with any of the {count} endings above, and so is one that is not audio
({impostors}). A header with an impossible sample rate or number of channels is refused before
memory is reserved for it. Playlists, concat scripts and session descriptions are refused, and the
files and addresses in them are not opened.

This page is printed by `python -m tests.audio.table.markdown`.
"""


def page() -> str:
    """The whole page."""
    listed = ", ".join(f"`{suffix}`" for suffix in sorted(AUDIO_SUFFIXES))
    suffixes = textwrap.fill(listed, 99, break_on_hyphens=False)
    kinds = ", ".join(kind for kind in IMPOSTORS if kind != "empty")
    tail = _TAIL.format(impostors=kinds, count=len(AUDIO_SUFFIXES))
    return "\n".join([_HEAD.format(suffixes=suffixes), *_table(), "", _counts(), tail])


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
