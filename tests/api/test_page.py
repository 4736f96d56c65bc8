"""The code of docs/python.md runs, in order, on a small collection."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mscol
from mscol_cli.vectors import FileVersion, VectorFolder, VectorHeader, VectorWriter
from tests.helpers.audio import tones, write_audio

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
CODE = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
TYPES = """
[mypy]
strict = true
[mypy-torch.*,torchaudio.*,torchvision.*,timm.*,scipy.*,sklearn.*,openunmix.*,soundfile.*,av.*]
follow_imports = skip
ignore_missing_imports = true
"""
"""Settings of a user's mypy, without the types of large packages, which take a minute to read."""


@pytest.fixture
def elsewhere(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working folder with what the page starts from."""
    monkeypatch.chdir(tmp_path)
    Path("runs").mkdir()
    Path("runs", "latest").symlink_to(trained)
    write_audio(Path("song.mp3"), tones(2.5))
    for number in range(8):
        write_audio(Path("album", f"{number}.wav"), tones(8.0, seed=number))
        write_audio(Path("data", "folder", "a", f"{number}.wav"), tones(1.0, seed=number))
        write_audio(Path("data", "folder", "b", f"{number}.wav"), tones(1.0, seed=number) ** 3)
    header = VectorHeader("run@6", "abc", "small", 16_000, 15_920, 15_680, "norm", dim=3)
    with VectorWriter(VectorFolder(Path("vectors"), header)) as writer:
        writer.add("song.mp3", FileVersion("song.mp3", 1, 1), np.ones((2, 3), np.float32))


@pytest.mark.slow
@pytest.mark.usefixtures("elsewhere")
def test_the_code_of_the_page_runs(capfd: pytest.CaptureFixture[str]) -> None:
    scope: dict[str, Any] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mscol.MscolWarning)
        for number, code in enumerate(CODE):
            exec(compile(code, f"block {number} of docs/python.md", "exec"), scope)
    assert scope["usable"].shape == (8, scope["model"].dim)
    printed = capfd.readouterr()
    assert printed.err == ""
    for text in ("damaged.wav", "cola-small-1@20 minus", "accuracy 0.", "embedding 1/1 clips"):
        assert text in printed.out
    assert scope["mixture"].shape == (128_000,)


def test_the_page_begins_with_three_lines() -> None:
    assert len([line for line in CODE[0].splitlines() if line]) == 3
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert CODE[0] in readme


@pytest.mark.slow
def test_a_type_checker_accepts_the_code_of_the_page(tmp_path: Path) -> None:
    (tmp_path / "mypy.ini").write_text(TYPES)
    (tmp_path / "user.py").write_text("\n".join(CODE))
    command = [sys.executable, "-m", "mypy", "--cache-dir", os.devnull, "user.py"]
    environment = {**os.environ, "MYPYPATH": f"{ROOT}{os.pathsep}{ROOT / 'plugins'}"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    # What skipped types make of the modules of mscol is not of interest.
    assert not [line for line in done.stdout.splitlines() if line.startswith("user.py")]
    assert "(checked 1 source file)" in done.stdout
