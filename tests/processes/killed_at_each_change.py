"""Kills commands at each of their changes to the disk, and runs them again: the end is the same.

Reads a request per line, `{"folder": ..., "limit": ..., "arguments": [...]}`: a command line whose
outputs lie in the folder, which is emptied before each kill. It runs in the folder above. Answers
with a line of JSON: how many kills were tried, and which of them led to another result. With a
limit, the changes are spread evenly over all of them. One process for many requests: to load
everything takes longer than most commands.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from hashlib import sha256
from pathlib import Path

import numpy as np
import sklearn.cluster
import sklearn.manifold
import torchaudio

import mscol_cli.embed.workflow
import mscol_cli.importing.workflow
import mscol_cli.map.workflow
import mscol_cli.pretrain.workflow
import mscol_cli.report.workflow
import mscol_cli.runs.plot
from tests.processes.signalled import count_changes, run

LOADED = (torchaudio, sklearn.cluster, sklearn.manifold, mscol_cli.pretrain.workflow)
DATED = {".json", ".jsonl", ".html", ".md"}
"""Files with times, of which only the name is compared."""
PASSING = {"tensorboard", ".lock"}


def content(folder: Path) -> dict[str, str]:
    """Every file and link below a folder, with its content."""
    paths = [path for path in sorted(folder.rglob("*")) if not PASSING & {*path.parts}]
    found = {}
    for path in paths:
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        elif path.is_file():
            dated = path.suffix in DATED
            found[name] = "" if dated else sha256(path.read_bytes()).hexdigest()
    return found


def emptied(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()


def kill_at(change: int, folder: Path, arguments: list[str]) -> dict[str, str]:
    """The content after the command was killed at this change, and run again."""
    emptied(folder)
    run(change, signal.SIGKILL, arguments)
    code = run(1 << 40, signal.SIGKILL, arguments)
    return {**content(folder), "exit code": str(code)}


def kills(folder: Path, limit: int, arguments: list[str]) -> dict[str, object]:
    """Kill a command at some of its changes. Returns the answer to a request."""
    os.chdir(folder.parent)
    emptied(folder)
    changes = count_changes(arguments)
    expected = {**content(folder), "exit code": "0"}
    tried = sorted({*map(int, np.linspace(1, changes, min(limit, changes)))})
    different = {}
    for change in tried:
        found = kill_at(change, folder, arguments)
        if found != expected:
            names = {*found.items()} ^ {*expected.items()}
            different[change] = sorted(f"{name} {value}" for name, value in names)
    return {"tried": len(tried), "of": changes, "different": different}


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # commands print to the log, and stdout has the answers alone
    for line in sys.stdin:
        request = json.loads(line)
        folder, limit, arguments = (request[name] for name in ("folder", "limit", "arguments"))
        answers.write(json.dumps(kills(Path(folder), limit, arguments)) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
