"""Files that are compared as a whole."""

from hashlib import sha256
from pathlib import Path


def digest(path: Path) -> str:
    """SHA-256 of a file: of megabytes that differ, pytest would print for minutes how they do."""
    return sha256(path.read_bytes()).hexdigest()


def digests(folder: Path, pattern: str = "*") -> dict[str, str]:
    """SHA-256 of every file below a folder, by its path there."""
    files = (path for path in folder.rglob(pattern) if path.is_file())
    return {path.relative_to(folder).as_posix(): digest(path) for path in files}
