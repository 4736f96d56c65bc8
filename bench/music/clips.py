"""Rendered clips: a folder with true stems, the mixture and a description; and their tags."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from bench.music.grooves import STYLES, GrooveFile
from bench.music.instruments import ELECTRONIC_KITS, TAGS, Instruments
from bench.music.packages import unfinished
from bench.music.song import Song, Voice, draw_song, perform, render
from bench.music.synth import RATE, Floats
from mscol_cli.audio import write_audio

Item = TypeVar("Item")

CLIP, MIXTURE = "clip.json", "mixture"
MIXTURE_FILE = f"{MIXTURE}.flac"
SLOW, FAST = 88, 132
ALL_TAGS = (
    *TAGS, *STYLES, "slow", "fast", "major", "minor", "quiet", "loud", "vocals", "no vocals",
    "voice", "solo", "drums", "no drums", "electronic drums",
)  # fmt: skip


@dataclass(frozen=True)
class Request:
    """A clip to render.

    Attributes:
        folder: Output folder of the clip.
        files: Files of grooves to draw from.
        soundfonts: Names of soundfonts to draw from.
        seconds: Duration.
        seed: Keys of its random stream.
        with_stems: Whether the stems are written beside the mixture.
    """

    folder: Path
    files: Sequence[GrooveFile]
    soundfonts: Sequence[str]
    seconds: float
    seed: tuple[int | str, ...]
    with_stems: bool = True


def write_clip(request: Request, instruments: Instruments) -> None:
    """Render a clip into its folder, which is complete or absent; skips a clip that exists."""
    if request.folder.exists():
        return
    song = draw_song(request.files, request.soundfonts, request.seconds, request.seed)
    voices = perform(song, instruments)
    stems = render(song, voices, instruments, request.seconds)
    mixture = np.asarray(sum(stems.values()), np.float32)
    with unfinished(request.folder) as part:
        for name, audio in {**(stems if request.with_stems else {}), MIXTURE: mixture}.items():
            write_audio(part / f"{name}.flac", audio[None], RATE)
        text = json.dumps(describe(song, voices, stems), indent=1)
        (part / CLIP).write_text(text + "\n", encoding="utf-8")


def read_clip(folder: Path) -> dict[str, Any]:
    """Read the description of a clip."""
    clip: dict[str, Any] = json.loads((folder / CLIP).read_text(encoding="utf-8"))
    return clip


def describe(song: Song, voices: Sequence[Voice], stems: dict[str, Floats]) -> dict[str, Any]:
    """What a clip is, and its tags."""
    return {
        "groove": song.file.name,
        "groove_family": song.file.family,
        "style": song.file.style,
        "soundfont": song.soundfont,
        "tempo": round(song.tempo, 1),
        "beats": song.file.beats,
        "key": f"{song.key.tonic} {song.key.mode}",
        "chords": [chord.symbol for chord in song.chords],
        "dynamics": song.dynamics,
        "programs": [[voice.stem, voice.program] for voice in voices],
        "tags": sorted(tags_of(song, voices, stems)),
    }


def tags_of(song: Song, voices: Sequence[Voice], stems: dict[str, Floats]) -> set[str]:
    """Tags of `ALL_TAGS` that apply to the stems that sound."""
    sounding = {name for name, audio in stems.items() if np.any(audio)}
    heard = [voice for voice in voices if voice.stem in sounding]
    programs = {voice.program for voice in heard if voice.stem != "drums"}
    tags = {tag for tag, members in TAGS.items() if programs.intersection(members)}
    tags |= {song.file.style, song.key.mode, song.dynamics} & set(ALL_TAGS)
    tags |= {"vocals"} if "vocals" in sounding else {"no vocals"}
    tags |= {"voice"} if programs & {53, 54} else set()
    tags |= {"drums"} if "drums" in sounding else {"no drums"}
    kits = {voice.program for voice in heard if voice.stem == "drums"}
    tags |= {"electronic drums"} if kits.intersection(ELECTRONIC_KITS) else set()
    tags |= {"solo"} if len(heard) == 1 else set()
    return tags | ({"slow"} if song.tempo < SLOW else {"fast"} if song.tempo > FAST else set())


def in_parallel(work: Callable[[Item], None], items: Sequence[Item], jobs: int) -> Iterator[None]:
    """Call `work` for each item, in `jobs` processes; yields after each item."""
    if jobs == 1:
        yield from map(work, items)
        return
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        try:
            yield from pool.map(work, items, chunksize=4)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def write_clips(requests: Sequence[Request], instruments: Instruments, jobs: int) -> Iterator[None]:
    """Render the clips that are missing; yields after each clip."""
    missing = [request for request in requests if not request.folder.exists()]
    yield from in_parallel(partial(write_clip, instruments=instruments), missing, jobs)
