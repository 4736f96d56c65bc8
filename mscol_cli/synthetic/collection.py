"""Atomic writing of a collection: four data sets in their original layouts."""

import json
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path

from mscol_cli.errors import UsageError
from mscol_cli.synthetic import fma, mtat, musdb, nsynth
from mscol_cli.synthetic.catalogue import TRAIN, Entry, catalogue
from mscol_cli.synthetic.song import render_song
from mscol_cli.synthetic.styles import STYLES
from mscol_cli.system.files import real_path
from mscol_cli.system.temporary import temporary_folder

Progress = Callable[[int, int], None]
"""Called with (jobs done, all jobs) after each song and batch of notes."""

MUSIC_SAMPLE_RATE = 16_000
MTAT_SHARES = (0.12, 0.18)
FMA_SHARES = (0.15, 0.25)
NOTES_PER_JOB = 8
SEAL = "collection.json"
COLLECTION_LAYOUT = 1


@dataclass(frozen=True)
class Recipe:
    """Arguments that determine every byte of a collection."""

    songs: int
    tracks: int
    seconds: float
    notes: int
    seed: int
    layout: int = COLLECTION_LAYOUT


@dataclass(frozen=True)
class Collection:
    """A finished collection.

    Attributes:
        root: folder of the collection.
        stems: folder with the true stems of the training songs, in the layout of MUSDB.
        mtat, fma, nsynth: folders in the layouts of the data sets of these names.
        songs, tracks, notes: number of MTAT clips, FMA tracks and NSynth notes.
        reused: whether the collection existed before.
    """

    root: Path
    stems: Path
    mtat: Path
    fma: Path
    nsynth: Path
    songs: int
    tracks: int
    notes: int
    reused: bool


@dataclass(frozen=True)
class _Job:
    """Work for one process: a song for MTAT, a song for FMA, or a batch of notes."""

    folder: Path
    recipe: Recipe
    entry: Entry | None = None
    clip: str = ""
    notes: tuple[nsynth.NoteEntry, ...] = ()


def write_collection(
    root: Path,
    *,
    songs: int = 96,
    tracks: int | None = None,
    seconds: float = 10.0,
    notes: int = 240,
    seed: int = 0,
    workers: int = 1,
    progress: Progress | None = None,
) -> Collection:
    """Synthesise a collection, or reuse a finished one with the same arguments.

    ``root`` will contain ``stems`` (stems of the songs in the training split of MTAT), ``mtat``,
    ``fma`` (other songs) and ``nsynth``. All files are written to a folder beside ``root``, which
    is renamed at the end, so ``root`` is complete or absent.

    Args:
        root: folder to create, with its parents.
        songs: number of MTAT clips, one song each; 16 or more.
        tracks: number of FMA tracks, 16 or more; by default two thirds of ``songs``, rounded to a
            multiple of eight.
        seconds: length of every clip, 2 or more.
        notes: number of NSynth notes, 16 or more.
        seed: non-negative; the same arguments give the same bytes for any number of ``workers``.
        workers: processes that render; 1 renders in this process.
        progress: called with (done, total).

    Raises:
        UsageError: an argument is out of range, or ``root`` has other content.
    """
    if tracks is None:
        tracks = len(STYLES) * max(2, round(songs / 12))
    recipe = Recipe(songs, tracks, float(seconds), notes, seed)
    _check(recipe, workers)
    root = Path(root)
    if _is_finished(root, recipe):
        return _collection(root, recipe, reused=True)
    with _all_or_nothing(root) as folder:
        _write(folder, recipe, workers, progress or (lambda _done, _total: None))
        sealed = json.dumps(asdict(recipe), indent=1, sort_keys=True) + "\n"
        (folder / SEAL).write_text(sealed, encoding="utf-8")
    return _collection(root, recipe, reused=False)


def _check(recipe: Recipe, workers: int) -> None:
    minimums = {"songs": 16, "tracks": 16, "seconds": 2, "notes": 16, "seed": 0}
    for name, limit in minimums.items():
        value = getattr(recipe, name)
        if not value >= limit:
            raise UsageError(f"{name} is {value}: a synthetic collection needs {limit} or more")
    if workers < 1:
        raise UsageError(f"workers is {workers}: at least one process is needed")


def _is_finished(root: Path, recipe: Recipe) -> bool:
    """Whether the folder has this collection; False if it is absent or empty."""
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        return False
    try:
        sealed = json.loads((root / SEAL).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        sealed = None
    if sealed != asdict(recipe):
        raise UsageError(
            f"{root} already has other content than this collection: "
            "choose another folder or remove it"
        )
    return True


def _collection(root: Path, recipe: Recipe, *, reused: bool) -> Collection:
    return Collection(
        root=root,
        stems=root / "stems",
        mtat=root / "mtat",
        fma=root / "fma",
        nsynth=root / "nsynth",
        songs=recipe.songs,
        tracks=recipe.tracks,
        notes=recipe.notes,
        reused=reused,
    )


@contextmanager
def _all_or_nothing(root: Path) -> Iterator[Path]:
    """A temporary folder beside ``root``, renamed to it at the end or deleted on an exception."""
    root = real_path(root)
    with temporary_folder(root) as folder:
        yield folder
        if root.exists():
            root.rmdir()
        folder.rename(root)


def _write(folder: Path, recipe: Recipe, workers: int, progress: Progress) -> None:
    songs = catalogue(recipe.songs, MTAT_SHARES, recipe.seed, "mtat")
    tracks = catalogue(recipe.tracks, FMA_SHARES, recipe.seed, "fma")
    notes = nsynth.note_entries(recipe.notes, recipe.seed)
    jobs = [
        _Job(folder, recipe, song, clip=mtat.clip_path(song, songs, recipe.seconds, recipe.seed))
        for song in songs
    ]
    jobs += [_Job(folder, recipe, entry) for entry in tracks]
    for first in range(0, len(notes), NOTES_PER_JOB):
        jobs.append(_Job(folder, recipe, notes=tuple(notes[first : first + NOTES_PER_JOB])))
    tags = _run(jobs, workers, progress)[: len(songs)]
    mtat.write_tables(folder / "mtat", songs, tags, recipe.seconds, recipe.seed)
    fma.write_tracks(folder / "fma", tracks, recipe.seconds)
    nsynth.write_examples(folder / "nsynth", notes, recipe.seed)


def _run(jobs: list[_Job], workers: int, progress: Progress) -> list[frozenset[str]]:
    """Results in the order of the jobs."""
    if workers == 1:
        return list(_reporting(map(_work, jobs), len(jobs), progress))
    with ProcessPoolExecutor(workers, get_context("spawn"), _ignore_interrupts) as pool:
        try:
            with _interrupts_blocked():
                # Processes started here would receive Ctrl-C before they can ignore it.
                results = pool.map(_work, jobs, chunksize=2)
            return list(_reporting(results, len(jobs), progress))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Block Ctrl-C until the end of the context, and permanently in processes started in it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _ignore_interrupts() -> None:
    """Ignore Ctrl-C, which the terminal sends to all processes; the parent handles it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _reporting(
    results: Iterator[frozenset[str]], total: int, progress: Progress
) -> Iterator[frozenset[str]]:
    for done, result in enumerate(results, start=1):
        progress(done, total)
        yield result


def _work(job: _Job) -> frozenset[str]:
    """Run one job. Returns the tags of a song, and none for notes."""
    entry, is_mtat = job.entry, bool(job.clip)
    if entry is None:
        for note in job.notes:
            nsynth.write_note(job.folder / "nsynth", note, job.recipe.seed)
        return frozenset()
    song = render_song(
        entry.style,
        seconds=job.recipe.seconds,
        sample_rate=MUSIC_SAMPLE_RATE if is_mtat else fma.FMA_SAMPLE_RATE,
        seed=(job.recipe.seed, 0 if is_mtat else 1, entry.index),
    )
    if not is_mtat:
        fma.write_clip(job.folder / "fma", entry, song)
        return song.tags
    mtat.write_clip(job.folder / "mtat", job.clip, song)
    if entry.split == TRAIN:
        musdb.write_stems(job.folder / "stems", entry, song)
    return song.tags
