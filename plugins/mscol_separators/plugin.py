"""Cards of the bundled separators; nothing here imports torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mscol_cli.api import NoOptions, SeparatorCard, UsageError, hookimpl
from mscol_separators.options import OpenUnmixOptions, StemsOptions

if TYPE_CHECKING:
    from mscol_cli.api import Separator, SeparatorContext


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
