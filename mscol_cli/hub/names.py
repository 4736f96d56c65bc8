"""Names of model repositories: `hf:ORG/NAME[@REVISION]`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mscol_cli.errors import UsageError

PREFIX = "hf:"
EXAMPLE = f"{PREFIX}ORG/NAME or {PREFIX}ORG/NAME@REVISION"
_PART = re.compile(r"(?!.*(?:--|\.\.))[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?")
_REVISION = re.compile(r"(?!.*(?:\.\.|//))[A-Za-z0-9](?:[A-Za-z0-9._/-]{0,198}[A-Za-z0-9_-])?")


@dataclass(frozen=True)
class HubName:
    """A model repository.

    Attributes:
        repository: `ORG/NAME`.
        revision: Branch, tag or commit; None for the main branch.
    """

    repository: str
    revision: str | None = None

    def __str__(self) -> str:
        pinned = f"@{self.revision}" if self.revision else ""
        return f"{PREFIX}{self.repository}{pinned}"


def is_hub_name(reference: str) -> bool:
    """Whether a model reference is a name on the Hub, valid or not."""
    return reference.startswith(PREFIX)


def parse_name(text: str) -> HubName:
    """Parse `hf:ORG/NAME[@REVISION]`. Raises UsageError."""
    repository, at, revision = text.removeprefix(PREFIX).partition("@")
    parts = repository.split("/")
    valid = is_hub_name(text) and len(parts) == 2 and all(map(_PART.fullmatch, parts))
    if not valid or repository.endswith(".git") or (at and not _REVISION.fullmatch(revision)):
        raise UsageError(f"'{text}' does not name a model repository: it is {EXAMPLE}.")
    return HubName(repository, revision or None)
