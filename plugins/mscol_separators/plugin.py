"""Cards of the bundled separators; nothing here imports torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mscol_cli.api import NoOptions, SeparatorCard, UsageError, hookimpl, option

if TYPE_CHECKING:
    from mscol_cli.api import Separator, SeparatorContext

STEMS = ("vocals", "drums", "bass", "other")
NO_BLEED = -120.0


@dataclass(frozen=True)
class OpenUnmixOptions:
    """Options of `openunmix`."""

    targets: tuple[str, ...] = option((), "sources to estimate; none given: all the model has")
    niter: int = option(1, "iterations of the multichannel Wiener filter; 0 is fastest", minimum=0)
    wiener_win_len: int = option(300, "frames filtered at a time; bounds memory", minimum=1)


@dataclass(frozen=True)
class StemsOptions:
    """Options of `stems`."""

    names: tuple[str, ...] = option(STEMS, "file names, without suffix, of the stems to keep")
    mix: str = option(
        "true",
        "true: as played; random: each stem of a mixture comes from another track",
        choices=("true", "random"),
    )
    seed: int = option(0, "of what mix=random draws", minimum=0)
    bleed_db: float = option(
        NO_BLEED,
        "level at which every stem carries the rest of its mixture, dB; -120 is none",
        minimum=NO_BLEED,
        maximum=0,
    )
    lowpass_hz: float = option(
        0.0, "cut-off of a low-pass filter over every stem, Hz; 0 is none", minimum=0, maximum=20e3
    )


@hookimpl
def mscol_separators() -> list[SeparatorCard]:
    """The three separators."""
    return [
        SeparatorCard(
            name="openunmix",
            summary="Open-Unmix: vocals, drums, bass and other, estimated from the mix at 44.1 kHz;"
            " --model umxl (default), umxhq, umxse (speech and noise), mini (comes along, 16 kHz)"
            " or a folder of weights",
            build=_build_openunmix,
            options=OpenUnmixOptions,
            reference="Stöter, Uhlich, Liutkus, Mitsufuji: Open-Unmix, A Reference Implementation"
            " for Music Source Separation, JOSS 4(41), 2019",
        ),
        SeparatorCard(
            name="stems",
            summary="true stems already on disk, one folder a track, as in MUSDB18-HQ; the mix is"
            " the file mixture.* or mix.*, else the sum of all files in the folder; or those stems"
            " degraded, or mixed at random",
            build=_build_stems,
            options=StemsOptions,
        ),
        SeparatorCard(
            name="none",
            summary="the mix only, enough for objectives that need no sources",
            build=_build_none,
        ),
    ]


def _build_openunmix(options: OpenUnmixOptions, context: SeparatorContext) -> Separator:
    from mscol_separators.open_unmix import OpenUnmixSeparator

    return OpenUnmixSeparator(options, context)


def _build_stems(options: StemsOptions, context: SeparatorContext) -> Separator:
    from mscol_separators.stems import StemsSeparator

    _refuse_model("stems", context)
    return StemsSeparator(options)


def _build_none(_: NoOptions, context: SeparatorContext) -> Separator:
    from mscol_separators.mixture import MixtureOnly

    _refuse_model("none", context)
    return MixtureOnly()


def _refuse_model(name: str, context: SeparatorContext) -> None:
    if context.model is not None:
        raise UsageError(f"separator '{name}' has no model: leave out --model {context.model}.")
