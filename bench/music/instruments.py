"""General MIDI: names, families and roles of programs, and the soundfonts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench.music.packages import LICENCE, fetch, unpack
from mscol_cli.contracts.task import Split


def _programs(*ranges: tuple[int, int]) -> tuple[int, ...]:
    return tuple(program for first, last in ranges for program in range(first, last + 1))


TAGS: dict[str, tuple[int, ...]] = {
    "piano": (0, 1, 2, 3), "electric piano": (4, 5), "harpsichord": (6,), "bells": (8, 9, 10, 14),
    "mallets": (11, 12, 13), "organ": _programs((16, 20)), "accordion": (21, 23),
    "harmonica": (22,), "acoustic guitar": (24, 25), "electric guitar": (26, 27, 28),
    "distorted guitar": (29, 30), "acoustic bass": (32,), "electric bass": _programs((33, 37)),
    "synth bass": (38, 39), "violin": (40, 41), "cello": (42, 43),
    "strings": (44, 45, 48, 49, 50, 51), "harp": (46,), "choir": (52,), "trumpet": (56, 59),
    "trombone": (57, 58), "horn": (60,), "brass": (61, 62, 63), "saxophone": _programs((64, 67)),
    "oboe": (68, 69, 70), "clarinet": (71,), "flute": _programs((72, 79)),
    "synth lead": (80, 81, 82, 83, 84, 86, 87), "synth pad": _programs((88, 95)),
    "sitar": (104,), "banjo": (105,),
}  # fmt: skip
"""Programs, from 0, of each instrument."""
NOTE_FAMILIES: dict[str, tuple[int, ...]] = {
    "bass": _programs((32, 39)), "brass": _programs((56, 63)), "flute": _programs((72, 79)),
    "guitar": _programs((24, 30)), "keyboard": _programs((0, 7)), "mallet": _programs((8, 14)),
    "organ": _programs((16, 20)), "reed": (22, *_programs((64, 71))),
    "string": (*_programs((40, 46)), 48, 49), "synth_lead": TAGS["synth lead"],
    "vocal": (52, 53, 54),
}  # fmt: skip
"""Programs of each family of NSynth."""

SINGERS = (52, 53, 54, 85, 91)
BASSES = _programs((32, 39))
ACCOMPANISTS = (
    0, 1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 16, 17, 18, 19, 21, 24, 25, 26, 27, 28, 29, 30, 44, 45, 46,
    48, 49, 50, 51, 61, 62, 63, 88, 89, 90, 92, 93, 94, 95, 104, 105,
)  # fmt: skip
SOLOISTS = (
    0, 4, 6, 9, 10, 11, 13, 16, 21, 22, 24, 25, 26, 27, 29, 30, 40, 42, 46, 56, 57, 59, 60, 61, 64,
    65, 66, 67, 68, 69, 70, 71, 72, 73, 74, 75, 77, 79, 80, 81, 82, 83, 84, 86, 87, 104, 105,
)  # fmt: skip
KITS = {0: 4.0, 8: 1.5, 16: 1.0, 24: 1.0, 25: 1.0, 32: 1.0, 40: 1.0, 48: 0.3}
"""Programs of drum kits, with weights."""
ELECTRONIC_KITS = (24, 25)

MMA = "mma"


@dataclass(frozen=True)
class Font:
    """A soundfont in a Debian package.

    Attributes:
        name: Short name.
        package: Name of the package.
        file: Name of the file in the package.
        splits: Splits of tasks in which it is used.
    """

    name: str
    package: str
    file: str
    splits: tuple[Split, ...]


# MuseScore General has samples of FluidR3, so these two are on one side of the split.
FONTS = (
    Font("fluid", "fluid-soundfont-gm", "FluidR3_GM.sf2", ("train", "valid")),
    Font(
        "musescore",
        "musescore-general-soundfont",
        "MuseScore_General_Full.sf3",
        ("train", "valid"),
    ),
    Font("timgm", "timgm6mb-soundfont", "TimGM6mb.sf2", ("test",)),
)


def fonts_of(split: Split) -> list[str]:
    """Names of the soundfonts of a split."""
    return [font.name for font in FONTS if split in font.splits]


@dataclass(frozen=True)
class Instruments:
    """Unpacked grooves and soundfonts.

    Attributes:
        folder: Folder with a folder per package.
    """

    folder: Path

    @property
    def grooves(self) -> Path:
        """Folder of MMA's modules and library."""
        return self.folder / MMA / "share" / "mma"

    def soundfont(self, name: str) -> Path:
        """File of a soundfont."""
        font = next(font for font in FONTS if font.name == name)
        return self.folder / font.package / font.file


def unpack_instruments(folder: Path, packages: Path) -> Instruments:
    """Unpack MMA and the soundfonts from a folder of .deb files, downloading missing ones."""

    def wanted(path: str) -> str | None:
        name = path.rpartition("/")[2]
        if name == "copyright":
            return LICENCE
        if name in {font.file for font in FONTS}:
            return name
        is_program = path == "usr/bin/mma" or path.startswith("usr/share/mma/")
        return path.removeprefix("usr/") if is_program else None

    for package in (MMA, *(font.package for font in FONTS)):
        unpack(fetch(package, packages), folder / package, wanted)
    return Instruments(folder)
