"""Files changed at random: whatever they are, the reader decodes or refuses them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.audio.table.memory import PEAK
from tests.audio.table.rows import ROWS

_COUNT = 120
_SECONDS, _KILOBYTES = 60, 1 << 20
# In a process of its own: a decoder that crashes must not end the tests.
_SCRIPT = (
    PEAK
    + """
import json, sys
from mscol_cli.audio import audio_header, durations, read_audio
from mscol_cli.errors import BadInputError
wrong = []
for path in sorted(Path(sys.argv[1]).iterdir()):
    print(path.name, file=sys.stderr, flush=True)
    try:
        audio_header(path), durations(path), read_audio(path)
    except BadInputError as error:
        if not str(error).startswith(f"{path}: ") or "cannot be decoded (" in str(error):
            wrong.append(str(error))
print(json.dumps([peak_kilobytes(), wrong]))
"""
)


def mutated(content: bytes, rng: np.random.Generator) -> bytes:
    """Content with bits flipped, a header field overwritten, or a stretch lost, doubled or new."""
    size = len(content)
    first, last = sorted(int(place) for place in rng.integers(0, size, 2))
    kind = rng.integers(6)
    if kind == 0:
        flipped = bytearray(content)
        for place in rng.integers(0, size, 20):
            flipped[place] ^= 1 << int(rng.integers(8))
        return bytes(flipped)
    if kind == 1:
        place = int(rng.integers(0, min(size, 1024)))
        field = (b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", bytes(4), b"\0\0\0\1")[rng.integers(4)]
        return content[:place] + field + content[place + 4 :]
    replaced = {2: b"", 3: 2 * content[first:last], 4: rng.bytes(1000), 5: bytes(last - first)}
    return content[:first] + replaced[int(kind)] + content[last:]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not tell a process's peak memory")
def test_files_changed_at_random_are_decoded_or_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [row for row in ROWS if row.seconds < 10]
    for number in range(_COUNT):
        row = rows[rng.integers(len(rows))]
        path = tmp_path / f"{number:03d}{row.suffix}"
        path.write_bytes(mutated(row.build(), rng) or b"\0")
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, tmp_path], capture_output=True, timeout=_SECONDS
    )
    assert done.returncode == 0, done.stderr.splitlines()[-1]
    kilobytes, wrong = json.loads(done.stdout)
    assert wrong == []
    assert kilobytes < _KILOBYTES
