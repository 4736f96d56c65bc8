"""Files changed at random: whatever they are, the reader decodes or refuses them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from tests.audio.table.judge import VERDICTS
from tests.audio.table.memory import PEAK
from tests.audio.table.rows import ROWS, Row
from tests.conftest import Command
from tests.helpers.counts import check

_EVERY = "MSCOL_ALL_EDITS" in os.environ
_COUNT, _SECONDS = (2400, 3000) if _EVERY else (120, 60)
_KILOBYTES, _BATCH = 1 << 20, 200
ROWS_SHORT = [row for row in ROWS if row.seconds < 10]
INTACT = [row for row in ROWS_SHORT if VERDICTS[row.cells[0]].status == "done"]
Capture = pytest.CaptureFixture[str]
# In a process of its own: a decoder that crashes must not end the tests.
_SCRIPT = (
    PEAK
    + """
import json, sys, time
from mscol_cli.audio import audio_header, durations, read_audio
from mscol_cli.errors import BadInputError
wrong = []
for path in sorted(Path(sys.argv[1]).iterdir()):
    print(path.name, file=sys.stderr, flush=True)
    begun = time.monotonic()
    try:
        audio_header(path), durations(path), read_audio(path)
    except BadInputError as error:
        if not str(error).startswith(f"{path}: ") or "cannot be decoded (" in str(error):
            wrong.append(str(error))
    if time.monotonic() - begun > 10:
        wrong.append(f"{path}: more than 10 s")
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


def write_mutated(folder: Path, numbers: range) -> list[Path]:
    """Write files of these numbers; the same numbers give the same files."""
    folder.mkdir(exist_ok=True)
    paths = []
    for number in numbers:
        rng = np.random.default_rng(number)
        row = ROWS_SHORT[number % len(ROWS_SHORT)]
        paths.append(folder / f"{number:04d}{row.suffix}")
        paths[-1].write_bytes(mutated(sound(row), rng) or b"\0")
    return paths


@cache
def sound(row: Row) -> bytes:
    return row.build()


@pytest.mark.slow
@pytest.mark.timeout(_SECONDS)
@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not tell a process's peak memory")
def test_files_changed_at_random_are_decoded_or_refused(tmp_path: Path, capsys: Capture) -> None:
    write_mutated(tmp_path / "files", range(_COUNT))
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, tmp_path / "files"], capture_output=True, timeout=_SECONDS
    )
    assert done.returncode == 0, done.stderr.splitlines()[-1]
    kilobytes, wrong = json.loads(done.stdout)
    check("changed audio files", _COUNT, wrong, capsys)
    assert kilobytes < _KILOBYTES


@pytest.mark.slow
@pytest.mark.timeout(_SECONDS)
@pytest.mark.skipif(not _EVERY, reason="set MSCOL_ALL_EDITS=1")
def test_sound_files_beside_them_are_separated_and_the_others_named(
    mscol: Command, tmp_path: Path, capsys: Capture
) -> None:
    wrong: list[object] = []
    for first in range(0, _COUNT, _BATCH):
        folder = tmp_path / f"batch-{first}"
        write_mutated(folder, range(first, first + _BATCH))
        for number, row in enumerate(INTACT):
            (folder / f"sound-{number:04d}{row.suffix}").write_bytes(sound(row))
        code = mscol("separate", folder, "--separator", "none", "-o", "a.store")
        printed = capsys.readouterr().err
        mscol("store", "manifest", "a.store", "--json")
        lines = json.loads(capsys.readouterr().out)["items"]
        failed = {line["file"] for line in lines if line["status"] == "failed"}
        named = {
            name for name in failed if re.search(rf"^warning: skipped .*{name}", printed, re.M)
        }
        wrong += sorted(failed - named) + [name for name in failed if name.startswith("sound-")]
        missing = {path.name for path in folder.iterdir()} - {line["file"] for line in lines}
        wrong += [*sorted(missing), *([] if code == 3 else [f"exit code {code}"])]
        shutil.rmtree(folder)
        shutil.rmtree("a.store")
    check("changed audio files in folders with sound ones", _COUNT, wrong, capsys)
