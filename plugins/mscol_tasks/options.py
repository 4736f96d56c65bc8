"""Options of the bundled tasks; nothing here imports an audio library."""

from __future__ import annotations

from dataclasses import dataclass

from mscol_cli.api import option


@dataclass(frozen=True)
class FolderOptions:
    """Options of `folder`; they matter only when DATA has no train, valid and test folders."""

    valid: float = option(0.15, "share of the clips that validate", minimum=0.01, maximum=0.4)
    test: float = option(0.2, "share of the clips that test", minimum=0.01, maximum=0.4)
    group: str = option(
        "", "regular expression: files alike before its match stay in one split; empty for none"
    )
    seed: int = option(0, "another seed makes another split", minimum=0)
