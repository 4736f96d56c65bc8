"""Packages of Debian and npm with music and instruments: download and unpacking."""

from __future__ import annotations

import os
import subprocess
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from mscol_cli.audio.suffixes import AUDIO_SUFFIXES
from mscol_cli.contracts.task import Split
from mscol_cli.system.files import inside


@dataclass(frozen=True)
class Package:
    """A package with recorded music.

    Attributes:
        name: Name of the package.
        music: Beginnings of the paths of its music, below `usr/share/`.
        split: Split of its music.
    """

    name: str
    music: tuple[str, ...]
    split: Split = "train"


MEGAGLEST = tuple(
    f"games/megaglest/techs/megapack/factions/{faction}/music/"
    for faction in ("egypt", "indian", "magic", "norsemen", "persian", "romans", "tech")
)
# Packages from which genre collections of game music are often cut are test material, so that such
# a collection remains unheard. Validation has three packages of different producers.
RECORDED = (
    Package("asc-music", ("games/asc/music/",)),
    Package("colobot-common-sounds", ("games/colobot/music/",)),
    Package("drascula-music", ("scummvm/drascula/audio/",)),
    Package("fillets-ng-data", ("games/fillets-ng/music/",), "valid"),
    Package(
        "freedroidrpg-data",
        ("freedroidrpg/data/sound/music/", "freedroidrpg/data/base/titles/"),
    ),
    Package("hedgewars-data", ("games/hedgewars/Data/Music/",)),
    Package("hyperrogue-music", ("hyperrogue/music/",), "valid"),
    Package("lincity-ng-data", ("games/lincity-ng/music/",)),
    Package("megaglest-data", ("games/megaglest/data/core/menu/music/", *MEGAGLEST)),
    Package("naev-data", ("naev/dat/snd/music/",)),
    Package("planetblupi-music-ogg", ("planetblupi/music/",)),
    Package("pushover-data", ("pushover/themes/",), "valid"),
    Package(
        "redeclipse-data",
        (
            "games/redeclipse/data/sounds/music/",
            "games/redeclipse/data/sounds/theme",
            "games/redeclipse/data/sounds/original.ogg",
            "games/redeclipse/data/maps/tonatiuh.ogg",
        ),
    ),
    Package("singularity-music", ("games/singularity/music/",), "test"),
    Package(
        "supertuxkart-data",
        (
            "games/supertuxkart/data/music/",
            "games/supertuxkart/data/tracks/ancient_colosseum_labyrinth/Battle_Theme",
            "games/supertuxkart/data/tracks/battleisland/",
            "games/supertuxkart/data/tracks/cave/",
            "games/supertuxkart/data/tracks/introcutscene2/intro2.ogg",
        ),
    ),
    Package("warzone2100-music", ("games/warzone2100/music/",), "test"),
    Package("wesnoth-1.16-music", ("games/wesnoth/1.16/data/core/music/",), "test"),
    Package("widelands-data", ("games/widelands/data/music/",)),
)
LICENCE = "LICENCE.txt"


def fetch(name: str, folder: Path) -> Path:
    """Find a package in a folder, or download it into the folder with `apt-get download`.

    Raises:
        SystemExit: It cannot be downloaded.
    """
    if not list(folder.glob(f"{name}_*.deb")):
        folder.mkdir(parents=True, exist_ok=True)
        run("apt-get", "download", name, cwd=folder)
    return max(folder.glob(f"{name}_*.deb"))


def fetch_npm(name: str, version: str, folder: Path) -> Path:
    """Find a package of the npm registry in a folder, or download it with `npm pack`.

    Raises:
        SystemExit: It cannot be downloaded.
    """
    archive = folder / f"{name}-{version}.tgz"
    if not archive.exists():
        folder.mkdir(parents=True, exist_ok=True)
        run("npm", "pack", f"{name}@{version}", cwd=folder)
    return archive


def run(
    *command: str, cwd: Path | None = None, environment: Mapping[str, str] | None = None
) -> None:
    """Run a program; exits with its last line of output if it fails or is missing."""
    try:
        result = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    except FileNotFoundError:
        raise SystemExit(f"{command[0]} is missing: install it (apt install ...)") from None
    if result.returncode:
        output = (result.stderr + result.stdout).strip().splitlines()
        raise SystemExit(f"{' '.join(command)}: {output[-1] if output else 'failed'}")


def unpack_music(archive: Path, package: Package, folder: Path) -> None:
    """Unpack the music of a package and its copyright file; the folder is complete or absent."""

    def wanted(path: str) -> str | None:
        is_music = Path(path).suffix.lower() in AUDIO_SUFFIXES
        if is_music and path.startswith(tuple(f"usr/share/{start}" for start in package.music)):
            return path.removeprefix("usr/share/")
        return LICENCE if path == f"usr/share/doc/{package.name}/copyright" else None

    unpack(archive, folder, wanted)


def unpack(archive: Path, folder: Path, wanted: Callable[[str], str | None]) -> None:
    """Unpack files of a Debian package.

    Args:
        archive: The .deb file.
        folder: Output folder; nothing happens if it exists, and it is complete or absent.
        wanted: Returns the path in `folder` for the path of a file, or None to leave it out.

    Raises:
        SystemExit: The archive cannot be read, or has none of these files.
    """
    if folder.exists():
        return
    with unfinished(folder) as part:
        count = 0
        for member, path in _members(archive, wanted):
            target = inside(part, path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(member)
            count += 1
        if not count:
            raise SystemExit(f"{archive} has none of the files that are expected in it")


def link(path: Path, target: Path) -> None:
    """Give a file a second name, unless that exists."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        os.link(path, target)


@contextmanager
def unfinished(folder: Path) -> Iterator[Path]:
    """A folder beside `folder`, renamed to it at the end."""
    part = folder.with_name(f".{folder.name}.unfinished")
    part.mkdir(parents=True, exist_ok=True)
    yield part
    part.rename(folder)


def _members(archive: Path, wanted: Callable[[str], str | None]) -> Iterator[tuple[bytes, str]]:
    """Content and new path of the regular files of a package."""
    command = ["dpkg-deb", "--fsys-tarfile", str(archive)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        with suppress(tarfile.TarError), tarfile.open(fileobj=process.stdout, mode="r|") as files:
            for entry in files:
                path = wanted(entry.name.removeprefix("./")) if entry.isreg() else None
                file = files.extractfile(entry) if path else None
                if file is not None and path is not None:
                    yield file.read(), path
    if process.returncode:
        raise SystemExit(f"{archive} cannot be unpacked: remove it, and download it again")
