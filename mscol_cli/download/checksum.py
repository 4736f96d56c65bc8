"""Published checksums and hashes of files."""

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
    """Hash of a file, or a prefix of it.

    Attributes:
        algorithm: `sha512`, `sha256`, `sha1`, `md5`, or `sha256-prefix` if only the first digits
            are known.
        digits: Hexadecimal digits in lower case.
    """

    algorithm: str
    digits: str

    @classmethod
    def parse(cls, text: str) -> Checksum:
        """Parse `ALGORITHM:DIGITS`. Raises ValueError."""
        algorithm, _, digits = text.partition(":")
        if algorithm not in DIGITS:
            raise ValueError(f"hash '{text}' begins with none of {', '.join(DIGITS)}")
        low, high = DIGITS[algorithm]
        if not re.fullmatch(f"[0-9a-f]{{{low},{high}}}", digits):
            many = f"{low}" if low == high else f"{low} to {high}"
            raise ValueError(f"hash '{text}' needs {many} hexadecimal digits in lower case")
        return cls(algorithm, digits)

    @property
    def is_complete(self) -> bool:
        """Whether all digits are known."""
        return self.algorithm != PREFIX

    def matches(self, computed: Checksum) -> bool:
        """Whether a hash computed by `hash_file(path, like=self)` agrees with this one."""
        return computed.digits.startswith(self.digits)

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.digits}"


def hash_file(
    path: Path, like: Checksum | None = None, watch: Callable[[int], None] | None = None
) -> Checksum:
    """Hash a file.

    Args:
        path: The file.
        like: Checksum to compare with, which decides on the algorithm; None for SHA-256.
        watch: Called with the number of bytes of each block that was read.
    """
    algorithm = like.algorithm if like is not None and like.is_complete else "sha256"
    return Checksum(algorithm, file_hash(path, watch, algorithm))
