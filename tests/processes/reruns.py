"""Runs a command in forked processes, and compares what it leaves with an undisturbed run.

The processes are forked from one that has loaded everything and computed nothing: importing takes
longer than most commands here, and a process with threads at work must not be forked.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import onnx
import torchaudio

import mscol_cli.embed.workflow
import mscol_cli.export.formats
import mscol_cli.importing.workflow
import mscol_cli.map.workflow
import mscol_cli.pages.pictures
import mscol_cli.pretrain.workflow
import mscol_cli.probe.many
import mscol_cli.report.workflow
import mscol_cli.separate.workflow
import mscol_cli.study.workflow
import mscol_cli.tag.workflow
from mscol_cli.__main__ import main as run_mscol
from mscol_cli.vectors.folder import VectorFolder
from mscol_cli.vectors.header import HEADER

LOADED = (onnx, torchaudio, mscol_cli)
PASSING = {"tensorboard", ".lock", "used"}
CACHE = "cache"
DATED = {".json", ".jsonl", ".html", ".md"}
"""Files with dates, which later commands may change."""
JOINED = "levels.npy"
"""A store's last file, joined from others each time until the store is sealed."""
TIMES = re.compile(
    r"elapsed|seconds$|waite?d?$|_s$|per_second|memory|^(created|date|time|process|pid)$"
)
"""Keys of JSON with times of a run."""
DURATION = re.compile(rb"\d{4}-\d\d-\d\d[T ][\d:.+Z]*|\d+:\d\d:\d\d|\d[\d.,]* (ms|s|min|h)\b")
"""Dates and durations in pages."""


def undated(value: Any) -> Any:
    """JSON without times."""
    if isinstance(value, dict):
        items = ((key, undated(item)) for key, item in value.items() if not TIMES.search(key))
        return dict(items)
    return [undated(item) for item in value] if isinstance(value, list) else value


def fingerprint(path: Path) -> str:
    """Hash of a file without its dates."""
    content = path.read_bytes()
    if path.suffix in (".json", ".jsonl"):
        lines = [content] if path.suffix == ".json" else content.splitlines()
        content = json.dumps([undated(json.loads(line)) for line in lines]).encode()
    elif path.suffix in (".html", ".md"):
        content = DURATION.sub(b"", content)
    return sha256(content).hexdigest()[:16]


def files(folder: Path) -> list[Path]:
    """Every file and link below a folder, but for those that no one reads again."""
    return [
        path
        for path in sorted(folder.rglob("*"))
        if not PASSING & {*path.parts} and (path.is_symlink() or path.is_file())
    ]


def content(folder: Path) -> dict[str, str]:
    """Every file and link by its path, with its content; of a cache its vectors, in any order."""
    cached = [header.parent for header in (folder / CACHE).rglob(HEADER)]
    found = {
        str(path.relative_to(folder)): f"-> {path.readlink()}"
        if path.is_symlink()
        else fingerprint(path)
        for path in files(folder)
        if path.parent not in cached
    }
    for path in cached:
        vectors, name = VectorFolder.open(path), str(path.relative_to(folder))
        found |= {
            f"{name}/{entry.id}": sha256(vectors.read(entry).tobytes()).hexdigest()[:16]
            for entry in vectors.entries
        }
    return found


def stamps(folder: Path, expected: Mapping[str, str]) -> dict[str, int]:
    """Time of the last write of the files that have their final content, by path."""
    paths = {str(path.relative_to(folder)): path for path in files(folder)}

    def is_final(name: str) -> bool:
        return name in paths and fingerprint(paths[name]) == expected.get(name)

    return {
        name: path.stat().st_mtime_ns
        for name, path in paths.items()
        if not path.is_symlink()
        and path.suffix not in DATED
        and path.name != JOINED
        and is_final(name)
        # Vectors are finished once the index lists them.
        and (path.suffix != ".f32" or is_final(name.removesuffix(".f32") + ".jsonl"))
    }


def start(arguments: Sequence[str], log: Path) -> int:
    """Fork a process that runs the command; returns its id."""
    child = os.fork()
    if child == 0:
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream in (1, 2):
            os.dup2(output, stream)
        code = 70
        try:
            sys.argv = ["mscol", *arguments]
            run_mscol()
        except SystemExit as end:
            code = int(end.code or 0)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    return child


def ended(child: int) -> int | None:
    """Exit code of a process, negative for a signal; None while it works."""
    known, status = os.waitpid(child, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if known else None


def wait_for_write(child: int, folder: Path) -> int | None:
    """Wait until the process has written, or ended; returns its exit code."""
    before = names(folder)
    while (code := ended(child)) is None and names(folder) == before:
        time.sleep(0.001)
    return code


def names(folder: Path) -> set[Path] | None:
    """Everything below a folder; None if a part of it is being removed."""
    try:
        return {*folder.rglob("*")}
    except FileNotFoundError:
        return None


def emptied(folder: Path) -> None:
    """The folder as before the command."""
    shutil.rmtree(folder, ignore_errors=True)
    inputs = folder.with_name(f"{folder.name}.inputs")
    if inputs.is_dir():
        shutil.copytree(inputs, folder, symlinks=True, dirs_exist_ok=True)
    folder.mkdir(exist_ok=True)
    os.chdir(folder)


def undisturbed(folder: Path, arguments: Sequence[str], log: Path) -> tuple[int, float]:
    """Exit code of a whole run, and the seconds from its first write to its end."""
    child = start(arguments, log)
    code, begun = wait_for_write(child, folder), time.monotonic()
    while code is None:
        time.sleep(0.0005)
        code = ended(child)
    return code, time.monotonic() - begun


def prepare(folder: Path) -> None:
    """Coarse pictures, which take most of the time of a report, and a cache in the folder."""
    mscol_cli.pages.pictures.VECTORS = ()  # type: ignore[assignment]
    mscol_cli.pages.pictures.DOTS_PER_INCH = 36
    os.environ["MSCOL_CACHE"] = str(folder / CACHE)
