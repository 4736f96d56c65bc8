"""Validated reading of TOML tables: typed values, known keys, errors with their location."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar
from urllib.parse import urlsplit

from mscol_cli.download.checksum import Checksum
from mscol_cli.errors import UsageError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

T = TypeVar("T")
COLLECTION_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")
SCHEMES = ("http", "https")


def parse_toml(text: str, source: str) -> Iterator[Entry]:
    """Parse the tables of a TOML text, whose names must be safe in addresses and file names.

    Raises:
        UsageError: The text is not TOML, or has values outside of tables.
    """
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{source} is not TOML: {error}.") from None
    for name, values in content.items():
        if not COLLECTION_NAME.fullmatch(name) or not isinstance(values, Mapping):
            raise UsageError(
                f"{source}: '{name}' must be a table, with a name of a-z, 0-9, - and _."
            )
        yield Entry(name, values, f"{source}, {name}")


class Entry:
    """One table. It records which keys were read, so that unknown ones are reported.

    Attributes:
        name: Name of the table.
    """

    def __init__(self, name: str, values: Mapping[str, Any], where: str) -> None:
        self.name = name
        self._values = values
        self._where = where
        self._read: set[str] = set()

    def text(self, key: str, default: str | None = None) -> str:
        """A non-empty string, or the default. Raises UsageError."""
        return self._take(key, str, default)

    def count(self, key: str) -> int | None:
        """A positive number of bytes; None if missing. Raises UsageError."""
        value = self._take(key, int, -1)
        if key in self._values and value < 1:
            raise self.problem(f"{key} is {value}: it needs 1 or more")
        return value if value > 0 else None

    def file_name(self, key: str) -> str:
        """A file name without folders. Raises UsageError."""
        name = self.text(key)
        if not FILE_NAME.fullmatch(name):
            raise self.problem(f"{key} '{name}' is not a plain file name")
        return name

    def urls(self, key: str) -> tuple[str, ...]:
        """One or more http or https addresses. Raises UsageError."""
        urls = self._take(key, list, None)
        for url in urls:
            if not isinstance(url, str) or not is_web_address(url):
                raise self.problem(f"{key} has {url!r}, which is not an http or https address")
        return tuple(urls)

    def checksum(self, key: str) -> Checksum | None:
        """A hash; None if missing. Raises UsageError."""
        text = self.text(key, default="")
        try:
            return Checksum.parse(text) if text else None
        except ValueError as error:
            raise self.problem(str(error)) from None

    def entries(self, key: str) -> Iterator[Entry]:
        """One or more tables of an array. Raises UsageError."""
        for number, values in enumerate(self._take(key, list, None), start=1):
            if not isinstance(values, Mapping):
                raise self.problem(f"{key} must be an array of tables")
            yield Entry(self.name, values, f"{self._where}, {key} {number}")

    def check_all_read(self) -> None:
        """Raise UsageError for a key that was not read."""
        unknown = sorted(set(self._values) - self._read)
        if unknown:
            raise self.problem(f"unknown key '{unknown[0]}'")

    def problem(self, what: str) -> UsageError:
        """The error for a problem in this table."""
        return UsageError(f"{self._where}: {what}.")

    def _take(self, key: str, kind: type[T], default: T | None) -> T:
        self._read.add(key)
        value = self._values.get(key, default)
        if value is None:
            raise self.problem(f"{key} is missing")
        if not isinstance(value, kind) or isinstance(value, bool):
            raise self.problem(f"{key} is {value!r}, which is not of type {kind.__name__}")
        if key in self._values and kind is not int and not value:
            raise self.problem(f"{key} is empty")
        return value


def is_web_address(url: str) -> bool:
    """Whether an address is http or https and has a host."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in SCHEMES and bool(parts.netloc)
