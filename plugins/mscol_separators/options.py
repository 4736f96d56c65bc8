"""Options of the bundled separators; nothing here imports torch."""

from __future__ import annotations

from dataclasses import dataclass

from mscol_cli.api import option

STEMS = ("vocals", "drums", "bass", "other")
NO_BLEED = -120.0


@dataclass(frozen=True)
class OpenUnmixOptions:
    """Options of `openunmix`."""

    targets: tuple[str, ...] = option((), "sources to estimate; empty for all that the model has")
    niter: int = option(1, "iterations of the multichannel Wiener filter; 0 is fastest", minimum=0)
    wiener_win_len: int = option(300, "frames filtered at a time; limits memory", minimum=1)


@dataclass(frozen=True)
class StemsOptions:
    """Options of `stems`."""

    names: tuple[str, ...] = option(
        STEMS, "file names of the stems to keep, without suffix and in any case"
    )
    mix: str = option(
        "true",
        "true: as played; random: each stem of a mixture comes from another track",
        choices=("true", "random"),
    )
    seed: int = option(0, "random seed of mix=random", minimum=0)
    bleed_db: float = option(
        NO_BLEED,
        "level at which the rest of the mixture bleeds into every stem, dB; -120 for none",
        minimum=NO_BLEED,
        maximum=0,
    )
    lowpass_hz: float = option(
        0.0, "cut-off of a low-pass filter over every stem, Hz; 0 for none", minimum=0, maximum=20e3
    )
