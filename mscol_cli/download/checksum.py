"""Hashes as a publisher states them, and those of files."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mscol_cli.system.files import file_hash

PREFIX = "sha256-prefix"
DIGITS = {
    "sha512": (128, 128),
    "sha256": (64, 64),
    "sha1": (40, 40),
    "md5": (32, 32),
    PREFIX: (8, 63),
}


@dataclass(frozen=True)
class Checksum:
    """What a file's hash is, or how it begins.

    Attributes:
        algorithm: `sha512`, `sha256`, `sha1`, `md5`, or `sha256-prefix` where only the
            first are known.
        digits: Hexadecimal, lower case.
    """

    algorithm: str
    digits: str

    @classmethod
    def parse(cls, text: str) -> Checksum:
        """Read `ALGORITHM:DIGITS`. Raises ValueError."""
        algorithm, _, digits = text.partition(":")
        if algorithm not in DIGITS:
            raise ValueError(f"hash '{text}' begins with none of {', '.join(DIGITS)}")
        low, high = DIGITS[algorithm]
        if not re.fullmatch(f"[0-9a-f]{{{low},{high}}}", digits):
            many = f"{low}" if low == high else f"{low} to {high}"
            raise ValueError(f"hash '{text}' needs {many} hexadecimal digits in lower case")
        return cls(algorithm, digits)

    @property
    def is_whole(self) -> bool:
        """Whether all digits are known, so that a file that fits can be no other."""
        return self.algorithm != PREFIX

    def fits(self, found: Checksum) -> bool:
        """Whether a file's hash, made by `hash_file` for this one, is this one."""
        return found.digits.startswith(self.digits)

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.digits}"


def hash_file(
    path: Path, like: Checksum | None = None, watch: Callable[[int], None] | None = None
) -> Checksum:
    """The hash of a file.

    Args:
        path: The file.
        like: What it will be compared with; None for a SHA-256.
        watch: Told how many bytes were read, block by block.
    """
    algorithm = like.algorithm if like is not None and like.is_whole else "sha256"
    return Checksum(algorithm, file_hash(path, watch, algorithm))
