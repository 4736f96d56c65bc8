"""Rendered music with true stems, split by groove and soundfont."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from bench.music.clips import MIXTURE_FILE, Request, write_clips
from bench.music.grooves import find_grooves, split_grooves
from bench.music.instruments import Instruments, fonts_of
from bench.music.packages import link
from mscol_cli.contracts.task import Split


def make_rendered(
    folder: Path,
    instruments: Instruments,
    counts: Mapping[Split, int],
    seconds: float = 20.0,
    seed: int = 0,
    jobs: int = 1,
) -> None:
    """Write clips to the folders `train`, `valid` and `test`.

    A clip is a folder with vocals, drums, bass, other and mixture, as `mscol separate --separator
    stems` reads them. `mixtures` has the same splits with a file per clip, for other separators.
    Larger numbers add clips.
    """
    for split, count in counts.items():
        keys = (seed, "rendered")
        requests = list(clip_requests(folder / split, instruments, split, count, seconds, keys))
        report(write_clips(requests, instruments, jobs), f"{split} clips")
        for clip in (request.folder for request in requests):
            link(clip / MIXTURE_FILE, folder / "mixtures" / split / f"{clip.name}.flac")


def clip_requests(
    folder: Path,
    instruments: Instruments,
    split: Split,
    count: int,
    seconds: float,
    seed: tuple[int | str, ...],
    styles: Sequence[str] = (),
    with_stems: bool = True,
) -> Iterator[Request]:
    """Requests for clips of a split, in folders with numbers: of the styles in turn, equally many
    of each; without styles over any groove."""
    files, turns = split_grooves(find_grooves(instruments.grooves))[split], len(styles) or 1
    for number in range(-(-count // turns) * turns):
        chosen = [file for file in files if not styles or file.style == styles[number % turns]]
        keys = (*seed, split, number)
        yield Request(
            folder / f"{number:05d}", chosen, fonts_of(split), seconds, keys, with_stems=with_stems
        )


def report(work: Iterable[None], what: str) -> None:
    """Do the work, and print the progress to stderr."""
    for done, _ in enumerate(work, start=1):
        if done % 100 == 0:
            print(f"{done} {what}", file=sys.stderr)
