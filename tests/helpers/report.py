"""A study small enough for tests: a data set, a store of it, two runs and their probe results."""

import json
import shutil
from pathlib import Path
from typing import Any

from tests.helpers.audio import tones, write_audio

HOSTILE = "<img src=http:x onerror=alert(1)>|`*.wav"
SMALL = ("--encoder", "small", "--steps", "4", "--batch-size", "4", "--device", "cpu")


def make_study(root: Path, run: Any) -> Path:
    """`data/`, `runs/msa`, `runs/other` below a folder, where `run` runs a command line."""
    for number in range(4):
        write_audio(root / "music" / f"{number}.wav", tones(5.0, seed=number))
    write_audio(root / "music" / HOSTILE, tones(5.0, seed=9))
    for name, seeds in {"low": range(8), "high": range(8, 16)}.items():
        for seed in seeds:
            write_audio(root / "data" / "folder" / name / f"{seed}.wav", tones(1.5, seed=seed))
    for command in (
        ("separate", "music", "--separator", "none", "-o", "data/music.store"),
        ("pretrain", "data/music.store", "--objective", "cola", *SMALL, "-o", "runs/first"),
        ("probe", "folder", "--model", "runs/first", "--seeds", "2", "--protocol", "epochs=3"),
        ("probe", "folder", "--model", "untrained", "--seeds", "2", "--protocol", "epochs=3"),
    ):
        assert run(*command) == 0, command
    shutil.copytree(root / "runs" / "first", root / "runs" / "other")
    return root


def edit_json(path: Path, **changes: Any) -> None:
    """Change some fields of a JSON file."""
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**content, **changes}), encoding="utf-8")
