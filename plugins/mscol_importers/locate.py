"""Find the `.index` file of a checkpoint from a path given by the user."""

from __future__ import annotations

import re
from pathlib import Path

from mscol_cli.api import BadInputError, MissingDataError, UsageError

INDEX = ".index"
STATE = "checkpoint"
"""Text file in which TensorFlow records the newest checkpoint of a folder."""
_DATA = re.compile(r"(.+)\.data-\d{5}-of-\d{5}")
_NEWEST = re.compile(r'^\s*model_checkpoint_path\s*:\s*"((?:[^"\\\n]|\\.)*)"', re.MULTILINE)


def looks_like_checkpoint(path: Path) -> bool:
    """Whether a path is named like a TensorFlow checkpoint, or is a folder that contains one."""
    if path.is_dir():
        return (path / STATE).is_file() or any(path.glob(f"*{INDEX}"))
    if path.is_file() and (path.suffix == INDEX or _DATA.fullmatch(path.name)):
        return True
    return _with_index(path).is_file()


def find_index(path: Path) -> Path:
    """Find the `.index` file of a checkpoint, which may be missing.

    Args:
        path: The `.index` file, a `.data-00000-of-00001` file, their common prefix, or a folder,
            whose checkpoint is the one that its file `checkpoint` names, else the only one.

    Raises:
        MissingDataError: The folder has no checkpoint.
        UsageError: The folder has several checkpoints and no file `checkpoint`.
        BadInputError: The folder's file `checkpoint` does not name a checkpoint.
    """
    if path.is_dir():
        return _newest(path) if (path / STATE).is_file() else _only(path)
    if path.suffix == INDEX:
        return path
    data = _DATA.fullmatch(path.name)
    return path.with_name(data[1] + INDEX) if data else _with_index(path)


def _with_index(prefix: Path) -> Path:
    return prefix.parent / (prefix.name + INDEX)


def _newest(folder: Path) -> Path:
    state = folder / STATE
    text = state.read_text(encoding="utf-8", errors="replace")
    match = _NEWEST.search(text)
    # Only the file name is used: the folder may have been moved.
    name = re.split(r"[/\\]", _unescaped(match[1]))[-1] if match else ""
    if name in ("", ".", "..") or not name.isprintable():
        raise BadInputError(
            f"{state} does not name a checkpoint: give the path of the .index file."
        )
    return folder / (name + INDEX)


def _unescaped(text: str) -> str:
    r"""Text of a protocol buffer string, which may contain escaped bytes such as `\303`."""
    raw = text.encode().decode("unicode_escape", "replace")
    return raw.encode("latin-1", "replace").decode("utf-8", "replace")


def _only(folder: Path) -> Path:
    paths = sorted(folder.glob(f"*{INDEX}"))
    if not paths:
        raise MissingDataError(f"{folder} has no TensorFlow checkpoint (no {INDEX} file).")
    if len(paths) > 1:
        names = ", ".join(path.name for path in paths)
        raise UsageError(f"{folder} has several checkpoints, choose one of them: {names}.")
    return paths[0]
