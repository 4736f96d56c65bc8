"""Kills a command at each of its changes to the disk, and runs it again: the end is the same.

    python killed_at_each_change.py FOLDER LIMIT ARGUMENT...

ARGUMENT... is a command line whose outputs lie in FOLDER, which is emptied before each kill. Prints
how many kills were tried, and which of them led to another result, as JSON. With a LIMIT, the
changes are spread evenly over all of them.
"""

from __future__ import annotations

import json
import shutil
import signal
import sys
from hashlib import sha256
from pathlib import Path

import torchaudio

import mscol_cli.embed.workflow
import mscol_cli.importing.workflow
import mscol_cli.pretrain.workflow
import mscol_cli.report.workflow
from tests.processes.signalled import count_changes, run

LOADED = (torchaudio, mscol_cli.embed.workflow, mscol_cli.pretrain.workflow)
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


def main(folder: Path, limit: int, arguments: list[str]) -> None:
    emptied(folder)
    changes = count_changes(arguments)
    expected = {**content(folder), "exit code": "0"}
    step = max(1, changes // limit)
    tried = [*range(1, changes + 1, step)]
    different = {}
    for change in tried:
        found = kill_at(change, folder, arguments)
        if found != expected:
            names = {*found.items()} ^ {*expected.items()}
            different[change] = sorted(f"{name} {value}" for name, value in names)
    sys.stdout.write(json.dumps({"tried": len(tried), "of": changes, "different": different}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
