"""Options of htdemucs; nothing here imports torch."""

from __future__ import annotations

from dataclasses import dataclass

from mscol_cli.api import option


@dataclass(frozen=True)
class HTDemucsOptions:
    """Options of `htdemucs`."""

    overlap: float = option(
        0.25,
        "minimum share of a segment that overlaps with the next; less is faster",
        minimum=0.0,
        maximum=0.9,
    )
