"""Files beside a page: a list of what was written, so that a later page can take away its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path

from mscol_cli.errors import MscolError
from mscol_cli.files import inside, read_json, write_atomically, write_json

WRITTEN = "written.json"

Entry = tuple[str, str]
"""The name of a file below the folder, and the SHA-256 of what was written."""


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files below a folder, and delete those of an earlier call that are not among them.

    Deleted is only what an earlier call listed, lies inside the folder, and is still as it was
    written: files of others, and changed ones, stay. Killed in between, the next call ends it.

    Args:
        folder: Where the files and their list go.
        files: By name, with `/` between its parts, the content of a file.

    Raises:
        OSError: The folder cannot be written.
    """
    before = _listed(folder)
    entries = [(name, _hash(content)) for name, content in files.items()]
    # First of all: what is written now is then known, even if nothing after it comes to be.
    _list(folder, [*entries, *before])
    for name, content in files.items():
        _write_bytes(folder / name, content)
    for name, digest in before:
        if name not in files:
            _delete(folder, name, digest)
    _list(folder, entries)


def _listed(folder: Path) -> list[Entry]:
    """What an earlier call wrote; nothing where its list is gone or damaged: all then stays."""
    try:
        content = read_json(folder / WRITTEN, "report")
        return [(str(one["file"]), str(one["sha256"])) for one in content["files"]]
    except (MscolError, LookupError, TypeError):
        return []


def _list(folder: Path, entries: Iterable[Entry]) -> None:
    files: Sequence[Mapping[str, str]] = [
        {"file": name, "sha256": digest} for name, digest in dict.fromkeys(entries)
    ]
    about = "Files that mscol wrote beside the page; its next report here deletes what it no longer"
    write_json(folder / WRITTEN, {"about": f"{about} uses.", "files": files})


def _delete(folder: Path, name: str, digest: str) -> None:
    try:
        path = inside(folder, name)
        # A folder below may be a link to elsewhere.
        real = path.resolve().is_relative_to(folder.resolve())
        if not real or path.is_symlink() or _hash(path.read_bytes()) != digest:
            return
        path.unlink()
        if path.parent != folder and not any(path.parent.iterdir()):
            path.parent.rmdir()
    except (MscolError, OSError, ValueError):
        pass  # no name of a file inside, or it is gone: nothing of ours is in the way


def _hash(content: bytes) -> str:
    return sha256(content).hexdigest()


def _write_bytes(path: Path, content: bytes) -> None:
    def fill(temporary: Path) -> None:
        temporary.write_bytes(content)

    write_atomically(path, fill)
