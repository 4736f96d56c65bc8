"""From what the user names to the `.index` file of a checkpoint."""

from __future__ import annotations

import re
from pathlib import Path

from mscol_cli.api import BadInputError, MissingDataError, UsageError

INDEX = ".index"
STATE = "checkpoint"
"""Text file in which TensorFlow notes the newest checkpoint of a folder."""
_DATA = re.compile(r"(.+)\.data-\d{5}-of-\d{5}")
_NEWEST = re.compile(r'^\s*model_checkpoint_path\s*:\s*"((?:[^"\\\n]|\\.)*)"', re.MULTILINE)


def looks_like_checkpoint(path: Path) -> bool:
    """Whether a path is named as TensorFlow's checkpoints are, or is a folder that holds one."""
    if path.is_dir():
        return (path / STATE).is_file() or any(path.glob(f"*{INDEX}"))
    if path.is_file() and (path.suffix == INDEX or _DATA.fullmatch(path.name)):
        return True
    return _with_index(path).is_file()


def find_index(path: Path) -> Path:
    """The `.index` file of a checkpoint, which need not exist.

    Args:
        path: The `.index` file, a `.data-00000-of-00001` file, their common start, or a folder:
            the checkpoint that its file `checkpoint` names, else the only one in it.

    Raises:
        MissingDataError: A folder without a checkpoint.
        UsageError: A folder with several, and nothing that says which.
        BadInputError: The folder's file `checkpoint` names none.
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
    found = _NEWEST.search(text)
    # Only the last part counts: a checkpoint may have been moved, and never lies elsewhere.
    name = re.split(r"[/\\]", _unescaped(found[1]))[-1] if found else ""
    if name in ("", ".", "..") or not name.isprintable():
        raise BadInputError(f"{state} names no checkpoint: name the .index file itself.")
    return folder / (name + INDEX)


def _unescaped(text: str) -> str:
    r"""The text of a protocol buffer string, whose bytes may be written as `\303`."""
    raw = text.encode().decode("unicode_escape", "replace")
    return raw.encode("latin-1", "replace").decode("utf-8", "replace")


def _only(folder: Path) -> Path:
    found = sorted(folder.glob(f"*{INDEX}"))
    if not found:
        raise MissingDataError(f"{folder} holds no TensorFlow checkpoint (no {INDEX} file).")
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise UsageError(f"{folder} holds several checkpoints, name one of them: {names}.")
    return found[0]
