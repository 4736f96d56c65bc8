"""Options of the bundled tasks; nothing here imports an audio library."""

from __future__ import annotations

from dataclasses import dataclass

from mscol_cli.api import option


@dataclass(frozen=True)
class FolderOptions:
    """Options of `folder`, for DATA without train, valid and test folders."""

    valid: float = option(0.15, "share of clips for validation", minimum=0.01, maximum=0.4)
    test: float = option(0.2, "share of clips for testing", minimum=0.01, maximum=0.4)
    group: str = option(
        "",
        "regular expression, matched in paths below the class folders: files with the same part"
        " before the match share a split, as in '/' for the folder of an artist; empty for none",
    )
    seed: int = option(0, "random seed of the split", minimum=0)


@dataclass(frozen=True)
class StemsOptions:
    """Options of `stems`."""

    query: str = option(
        "rest",
        "what is given: the mixture of all other sources, or each of them on its own",
        choices=("rest", "stem"),
    )
    candidates: str = option(
        "all",
        "what is searched: all stems of all tracks, or those of the same source",
        choices=("all", "source"),
    )
    similarity: str = option(
        "cosine",
        "what clips are compared by: the cosine of embeddings, or what the objective has learned",
        choices=("cosine", "learned"),
    )
