"""Grooves of MMA (Musical MIDI Accompaniment): catalogue, style groups, splits and MIDI output.

A groove is a pattern of drums, bass and chords. The files of the library hold variants of one
groove, and numbered files of one name are related, so splits are by name without its number.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.music.harmony import Chord
from bench.music.midi import Part, read_parts
from bench.music.packages import run
from mscol_cli.contracts.task import Split

STYLES: dict[str, str] = {
    "blues": "blues blues128 blues68 blues34 boggiewoggie countryblues fastblues slowblues"
    " shuffleboggie shuffleboogie jive",
    "country": "bluegrass bluefolk countryswing hillcountry slowcountry westernswing folk"
    " folkballad zydeco kwestballad jazzcountry western country cntry folkrock",
    "electronic": "trance boneym hiphop teamtechno ambient dance dancepop discosoul electricpop"
    " hip-hop house rave techno triphop dnb trip latinhouse 8beatdance digitalrock",
    "jazz": "swing 68swing bebop bigband charleston descendingjazz dixie easyswing evansish"
    " fastswing folkyjazz gypsyjazz jazz-54 jazzcombo jazzguitar mellowjazz modernjazz nitejazz"
    " ragtime slowjazz fastbigband middlebigband slowbigband slowswing jazzgrtrio jazzbasie"
    " jazzbouncy jazzswing jazztrio jazz jazz04",
    "latin": "afro-cuban beguine bolero bossanova calypso chacha cubanguitar jazzrhumba lfusion"
    " lighttango mambo merengue rhumba salsa samba slowbolero son tango latinfusion kbossa"
    " jazzbossa quando-g.s280 bossa latin afro reggae",
    "march": "68march bwmarch dixiemarch march polka germanmarch polkafox poppolka quickstep"
    " foxtrot softshoe 2beatp",
    "rock": "50srock 60srock basicrock bubblerock jazzrock rock-128 twist rock heavymetal"
    " poprock shufflerock slowrock k50s_rock fasttwist twi metal highfive w-rock mtl punk thr"
    " hrk rock34 ska",
    "soul": "bvfunk dsoul rb funk fusion 60ssoul soul soulpop r+b mellowrb modernrb kfunk fus"
    " rnb 8beatmotown strut",
    "waltz": "arpeggiowaltz broadwaywaltz countrywaltz fastjazzwaltz fastwaltz frenchwaltz"
    " jazzwaltz latinwaltz modernjazzwaltz rockwaltz vienesewaltz waltz popwaltz",
    "ballad": "ballad ballad128 ballad68 bald bald34 guitarballad pianoballad popballad"
    " rockballad stringballad rb-ballad slowspiritual slowbroadway 16beatballad 68ballad"
    " 8beatballad oldieballad serenade slow16beat lullaby arpeggio44 arpeggio68 hymn desert",
    "pop": "8beat 16beat 16shuffle 60spop 80spop 8beatpop pop popshuffle worldpop softrock"
    " showtune broadway popspiritual spiritual happyshuffle beat shuffle",
}
"""Names of files, without numbers at their end, by style."""
STYLE_TASK = ("blues", "country", "electronic", "jazz", "latin", "march", "rock", "soul")
"""The eight styles of the style task; the meter or tempo gives the others away."""
VALID_SHARE, TEST_SHARE = 0.15, 0.3
# Variants that begin or end a song.
PARTIAL = re.compile(r"Intro|End|Fill|Break|Metro|Count(?!r)|Tag")
DEFINITION = re.compile(r"^\s*DefGroove\s+(\S+)", re.IGNORECASE | re.MULTILINE)
TIME = re.compile(r"^\s*Time\s+(\d+)(/4|/8)?\b", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True)
class GrooveFile:
    """A file of the library.

    Attributes:
        name: Path below the library, without suffix.
        grooves: Names of its grooves.
        beats: Beats per bar.
        style: Key of `STYLES`.
    """

    name: str
    grooves: tuple[str, ...]
    beats: int
    style: str

    @property
    def family(self) -> str:
        """Name without its number; files of one family share a split."""
        return _without_number(self.name)


def find_grooves(home: Path) -> list[GrooveFile]:
    """Read the files of a style, in the order of their names.

    Args:
        home: Folder `mma` of the package, which has `lib`.
    """
    styles = {word: style for style, words in STYLES.items() for word in words.split()}
    files = []
    for path in sorted((home / "lib").rglob("*.mma")):
        name = path.relative_to(home / "lib").with_suffix("").as_posix()
        stem = name.rpartition("/")[2].lower()
        style = styles.get(stem) or styles.get(_without_number(stem))
        text = path.read_text(encoding="latin-1")
        meter = TIME.search(text)
        names = [found for found in DEFINITION.findall(text) if not PARTIAL.search(found)]
        if style and names and not (meter and meter[2] == "/8"):
            beats = int(meter[1]) if meter else 4
            files.append(GrooveFile(name, tuple(dict.fromkeys(names)), beats, style))
    return files


def _without_number(name: str) -> str:
    return re.sub(r"\d+$", "", name) or name


def split_grooves(files: Iterable[GrooveFile]) -> dict[Split, list[GrooveFile]]:
    """Assign families of files to splits: of each style 15 % validate and 30 % test."""
    families: dict[str, set[str]] = defaultdict(set)
    files = list(files)
    for file in files:
        families[file.style].add(file.family)
    split_of: dict[str, Split] = {}
    for names in families.values():
        order = sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest())
        valid, test = (max(1, round(share * len(order))) for share in (VALID_SHARE, TEST_SHARE))
        for rank, name in enumerate(order):
            split_of[name] = "test" if rank < test else "valid" if rank < test + valid else "train"
    splits: dict[Split, list[GrooveFile]] = {"train": [], "valid": [], "test": []}
    for file in files:
        splits[split_of[file.family]].append(file)
    return splits


def accompany(
    home: Path,
    file: GrooveFile,
    grooves: Sequence[str],
    chords: Sequence[Chord],
    seed: int,
    folder: Path,
) -> list[Part]:
    """Run MMA.

    Args:
        home: Folder `mma` of the package.
        file: File of the grooves.
        grooves: Groove of each half of the song.
        chords: A chord per bar.
        seed: Seed of the random variations in grooves.
        folder: Folder for temporary files.

    Returns:
        The parts of drums, bass and chords.
    """
    lines = [f"RndSeed {seed}", "Tempo 120", f"Use {file.name}"]
    half = (len(chords) + 1) // 2
    for bar, chord in enumerate(chords):
        if bar % half == 0:
            lines.append(f"Groove {grooves[bar // half]}")
        lines.append(f"{bar + 1} {chord.symbol}")
    song, output = folder / "song.mma", folder / "song.mid"
    song.write_text("\n".join(lines) + "\n", encoding="utf-8")
    environment = {**os.environ, "MMA_HOME": str(home), "PYTHONHASHSEED": "0"}
    program = home.parent.parent / "bin" / "mma"
    run(sys.executable, str(program), "-f", str(output), str(song), environment=environment)
    return read_parts(output.read_bytes())
