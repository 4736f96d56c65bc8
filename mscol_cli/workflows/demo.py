"""demo: make a small collection, run the four commands on it, compare with an untrained encoder."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mscol_cli.contracts.progress import Progress
from mscol_cli.errors import MscolError
from mscol_cli.synthetic import Collection, write_collection

Execute = Callable[[Sequence[str]], int]
TASKS = ("mtat", "fma", "nsynth")
RUN, UNTRAINED = "runs/demo", "untrained"
MODEL = "mini"  # the one separation model that needs no download
SPLIT = ("--train-split", "mtat")  # the store has the test clips, too
CACHE = "MSCOL_CACHE"


@dataclass(frozen=True)
class DemoRequest:
    """What to demonstrate.

    Attributes:
        folder: Where everything goes; it is kept.
        songs: Clips in the synthetic collection.
        steps: Updates of pre-training.
        seeds: Classifiers per probe.
        workers: Processes that synthesise.
    """

    folder: Path
    songs: int = 400
    steps: int = 1000
    seeds: int = 3
    workers: int = 2


@dataclass(frozen=True)
class DemoScore:
    """One row of the demo's table.

    Attributes:
        task: Name of the probe.
        metric: Its headline metric.
        test_clips: Clips the score is computed on.
        pretrained: Score, low and high end of its 95 % interval.
        untrained: The same for the encoder before pre-training.
    """

    task: str
    metric: str
    test_clips: int
    pretrained: tuple[float, float, float]
    untrained: tuple[float, float, float]


@dataclass(frozen=True)
class DemoResult:
    """What the demo came to.

    Attributes:
        folder: Where everything lies.
        scores: One row per probe.
        seconds: Wall time.
    """

    folder: Path
    scores: tuple[DemoScore, ...]
    seconds: float


def run(request: DemoRequest, progress: Progress, execute: Execute) -> DemoResult:
    """Run the demo.

    Args:
        request: What to demonstrate.
        progress: Who watches.
        execute: Runs a command line (without `mscol`) and returns its exit code.

    Raises:
        MscolError: A command failed; it has said why.
    """
    started = time.perf_counter()
    folder = request.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    synthesise(folder / "data", request, progress)
    with _inside(folder):
        for arguments in _commands(request):
            _execute(arguments, progress, execute)
        scores = tuple(_score(task) for task in TASKS)
    return DemoResult(folder, scores, round(time.perf_counter() - started, 1))


def synthesise(folder: Path, request: DemoRequest, progress: Progress) -> Collection:
    """Make the collection, or find the one that is there already."""
    progress.note(f"making music in {folder}")
    progress.begin("synthesise", None, "jobs")
    done = 0

    def report(now: int, total: int) -> None:
        nonlocal done
        if done == 0:
            progress.begin("synthesise", total, "jobs")
        progress.advance(now - done)
        done = now

    collection = write_collection(
        folder,
        songs=request.songs,
        tracks=min(max(16, request.songs * 5 // 6), 160),
        notes=min(max(40, request.songs * 2), 400),
        workers=request.workers,
        progress=report,
    )
    progress.end()
    return collection


def _commands(request: DemoRequest) -> Iterator[list[str]]:
    yield f"separate data/mtat --separator openunmix --model {MODEL} --opt niter=0".split()
    train = f"pretrain --objective msa --encoder small --batch-size 32 --steps {request.steps}"
    # Done before: the run is there, and the same command would refuse to write over it.
    resume = ["--resume"] if Path(RUN, "run.json").exists() else []
    yield [*train.split(), *SPLIT, *resume, "-o", RUN]
    yield f"embed data/fma --model {RUN} -o embeddings.npz".split()
    for task in TASKS:
        yield f"probe {task} --model {RUN} --seeds {request.seeds}".split()
        probe = f"probe {task} --model {UNTRAINED} --encoder small --seeds {request.seeds}"
        yield [*probe.split(), "-o", str(_report(task, UNTRAINED).parent)]


def _execute(arguments: Sequence[str], progress: Progress, execute: Execute) -> None:
    line = " ".join(["mscol", *arguments])
    progress.note(f"\n$ {line}")
    code = execute(arguments)
    if code != 0:
        failure = MscolError(f"'{line}' ended with exit code {code}.")
        failure.exit_code = code
        raise failure


def _report(task: str, model: str) -> Path:
    folder = Path("probes", UNTRAINED, task) if model == UNTRAINED else Path(RUN, "probes", task)
    return folder / "probe.json"


def _score(task: str) -> DemoScore:
    trained, untrained = (
        json.loads(_report(task, model).read_text(encoding="utf-8")) for model in (RUN, UNTRAINED)
    )
    headline = trained["test_sets"][0]
    metric = next(iter(headline["metrics"]))
    return DemoScore(
        task=task,
        metric=metric,
        test_clips=headline["clips"],
        pretrained=_interval(headline["metrics"][metric]),
        untrained=_interval(untrained["test_sets"][0]["metrics"][metric]),
    )


def _interval(metric: dict[str, Any]) -> tuple[float, float, float]:
    return metric["value"], metric["low"], metric["high"]


@contextmanager
def _inside(folder: Path) -> Iterator[None]:
    before, cache = Path.cwd(), os.environ.get(CACHE)
    os.chdir(folder)
    # Cached embeddings stay with the rest, instead of in the user's own cache.
    os.environ[CACHE] = cache or str(folder / "cache")
    try:
        yield
    finally:
        os.chdir(before)
        if cache is None:
            del os.environ[CACHE]
