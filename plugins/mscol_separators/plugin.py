"""Cards of the bundled separators; nothing here imports torch."""

from __future__ import annotations

from mscol_cli.api import SeparatorCard, hookimpl
from mscol_separators.options import OpenUnmixOptions, StemsOptions


@hookimpl
def mscol_separators() -> list[SeparatorCard]:
    """The three separators."""
    return [
        SeparatorCard(
            name="openunmix",
            summary="Open-Unmix: vocals, drums, bass and other, estimated from the mix at 44.1 kHz;"
            " --model umxl (default), umxhq, umxse (speech and noise), mini (bundled, 16 kHz) or"
            " a folder of weights",
            build="mscol_separators.open_unmix:OpenUnmixSeparator",
            options=OpenUnmixOptions,
            reference="Stöter, Uhlich, Liutkus, Mitsufuji: Open-Unmix, A Reference Implementation"
            " for Music Source Separation, JOSS 4(41), 2019",
        ),
        SeparatorCard(
            name="stems",
            summary="true stems on disk, one folder per track, as in MUSDB18-HQ; the mix is the"
            " file mixture.* or mix.*, else the sum of all files in the folder; options degrade the"
            " stems or mix them at random",
            build="mscol_separators.stems:StemsSeparator",
            options=StemsOptions,
        ),
        SeparatorCard(
            name="none",
            summary="the mix only, enough for objectives that need no sources",
            build="mscol_separators.mixture:MixtureOnly",
        ),
    ]
