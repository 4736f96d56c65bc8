"""Links that somebody put into an output folder: nothing behind them changes."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.conftest import Command
from tests.helpers.cases import Case
from tests.helpers.counts import UNEXPECTED, check, sample

pytestmark = pytest.mark.slow
Capture = pytest.CaptureFixture[str]
VICTIM = b'{"precious": true}\n'
WRITING = os.O_WRONLY | os.O_RDWR
opened: list[Path] = []
watched: list[Path] = []


def watch(event: str, arguments: tuple[object, ...]) -> None:
    """Audit hook: remember the files below a folder that are opened for writing."""
    if event == "open" and watched and isinstance(arguments[0], str):
        path, flags = Path(os.path.abspath(arguments[0])), arguments[2]  # noqa: PTH100
        if path.is_relative_to(watched[0]) and isinstance(flags, int) and flags & WRITING:
            opened.append(path)


def written(mscol: Command, line: Sequence[object], folder: Path) -> list[str]:
    """Names below a folder that a command opens for writing or leaves, but for temporary files."""
    sys.addaudithook(watch)
    opened.clear()
    watched[:] = [folder]
    assert mscol(*line) == 0
    watched.clear()
    left = [path for path in folder.rglob("*") if path.is_file()]
    names = {str(path.relative_to(folder)) for path in [*opened, *left]}
    shutil.rmtree(folder)
    return sorted(name for name in names if ".mscol-" not in name)


@pytest.mark.parametrize("case", ["separate", "pretrain", "embed", "download"], indirect=True)
def test_nothing_is_written_through_a_link(
    mscol: Command, case: Case, tmp_path: Path, capsys: Capture
) -> None:
    folder, victim = tmp_path / "out", tmp_path / "victim"
    line = [*case.line, "-o"] if "-o" not in case.line else [*case.line[:-1]]
    line.append(folder)
    names = sample(written(mscol, line, folder), 3)
    wrong = []
    for name in names:
        victim.write_bytes(VICTIM)
        link = folder / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(victim)
        capsys.readouterr()
        code = mscol(*line)
        error = capsys.readouterr().err
        unclear = code not in range(5) or UNEXPECTED.search(error) or "Traceback" in error
        if victim.read_bytes() != VICTIM or unclear:
            wrong.append((name, code, victim.read_bytes()[:80], error[-200:]))
        shutil.rmtree(folder)
    check(f"links in the output of {case.line[0]}", len(names), wrong, capsys)
