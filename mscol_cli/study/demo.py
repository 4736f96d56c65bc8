"""`demo`: the four commands on a small synthetic collection, compared with an untrained encoder."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from mscol_cli.contracts.progress import Progress
from mscol_cli.engine.references import LOGMEL, MINI, UNTRAINED, has_bundled
from mscol_cli.probe.result import Score, read
from mscol_cli.probe.tasks import DATA
from mscol_cli.runs.checkpoint import latest_checkpoint
from mscol_cli.runs.layout import PROBES
from mscol_cli.study.chain import run_chain
from mscol_cli.study.file import read_study
from mscol_cli.study.plan import make_plan, study_stages
from mscol_cli.study.request import DemoRequest
from mscol_cli.study.results import ProbeStage, Probing, bundled_model
from mscol_cli.study.stages import ComputeOptions, Execute, Stage, Status, StudyPaths

TASKS = ("mtat", "fma", "nsynth")
RUN, VECTORS = "runs/demo", "embeddings.npz"
CACHE = "MSCOL_CACHE"


@dataclass(frozen=True)
class DemoScore:
    """A row of the demo's table.

    Attributes:
        task: Name of the task.
        metric: Headline metric of the task.
        test_clips: Number of test clips.
        grouped_by: Kind of group that the intervals draw as a whole; empty if they draw clips.
        groups: Number of these groups; 0 if clips are drawn.
        pretrained: Score, and lower and upper bound of its 95 % interval.
        untrained: The same for the untrained encoder.
        logmel: The same for log-mel statistics.
        mini: The same for the bundled model; None if it is not installed.
    """

    task: str
    metric: str
    test_clips: int
    grouped_by: str
    groups: int
    pretrained: tuple[float, float, float]
    untrained: tuple[float, float, float]
    logmel: tuple[float, float, float]
    mini: tuple[float, float, float] | None = None


@dataclass(frozen=True)
class DemoResult:
    """Result of a demo.

    Attributes:
        folder: Folder of all files.
        scores: One row per probe.
        seconds: Duration.
    """

    folder: Path
    scores: tuple[DemoScore, ...]
    seconds: float


def run(request: DemoRequest, progress: Progress, execute: Execute) -> DemoResult:
    """Run the demo.

    Args:
        request: Request for the demo.
        progress: Receives notes on the stages.
        execute: Runs a command line (without `mscol`) and returns its exit code.

    Raises:
        MscolError: A command failed, and has printed the reason.
    """
    started = time.perf_counter()
    folder = request.output.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    with _inside(folder):
        stages = demo_stages(request)
        run_chain(stages, make_plan(stages), False, progress, execute)
        scores = tuple(_score(task) for task in TASKS)
    return DemoResult(folder, scores, round(time.perf_counter() - started, 1))


def demo_stages(request: DemoRequest) -> list[Stage]:
    """Stages of the study `demo` with one run and the requested sizes, and additional stages that
    embed, and that probe the bundled model."""
    study = read_study("demo")
    settings = {**study.runs["msa"].settings, "steps": request.steps}
    run = replace(study.runs["msa"], name=Path(RUN).name, settings=settings)
    study = replace(study, songs=request.songs, seeds=request.seeds, tasks=TASKS)
    study = replace(study, runs={run.name: run}, online_probe=None)
    paths, compute = StudyPaths(DATA, Path(RUN).parent, Path(PROBES)), ComputeOptions()
    stages = study_stages(study, paths, compute)
    if has_bundled():
        mini = bundled_model(paths.probes / MINI)
        for task in TASKS:
            probing = Probing(task, study.recipe, study.seeds, paths, compute)
            stages.append(ProbeStage(mini, probing, ("music",)))
    first = next(row for row, stage in enumerate(stages) if isinstance(stage, ProbeStage))
    return [*stages[:first], _EmbedStage(stages[first - 1].name), *stages[first:]]


class _EmbedStage(Stage):
    """Embedding of one data set with the run."""

    name = "embed fma"

    def __init__(self, run: str) -> None:
        self.needs = ("music", run)

    def status(self) -> Status:
        """Done if the file is newer than the weights of the run."""
        vectors, checkpoint = Path(VECTORS), latest_checkpoint(Path(RUN))
        if not vectors.is_file() or checkpoint is None:
            return Status("to do")
        newer = vectors.stat().st_mtime_ns >= checkpoint.folder.stat().st_mtime_ns
        return Status("done" if newer else "to do")

    def command(self) -> list[str]:
        """Embed the clips of the genre task."""
        return ["embed", "data/fma", "--model", RUN, "-o", VECTORS]


def _score(task: str) -> DemoScore:
    folders = [Path(RUN, PROBES, task), *(Path(PROBES, name, task) for name in (UNTRAINED, LOGMEL))]
    if has_bundled():
        folders.append(Path(PROBES, MINI, task))
    trained, *others = (read(folder).test_sets[0] for folder in folders)
    metric, score = trained.headline
    intervals = (_interval(other.headline[1]) for other in others)
    size = trained.clips, trained.grouped_by, trained.groups
    return DemoScore(task, metric, *size, _interval(score), *intervals)


def _interval(score: Score) -> tuple[float, float, float]:
    return score.value, score.low, score.high


@contextmanager
def _inside(folder: Path) -> Iterator[None]:
    before, cache = Path.cwd(), os.environ.get(CACHE)
    os.chdir(folder)
    # Cached embeddings go to the demo's folder instead of the user's cache.
    os.environ[CACHE] = cache or str(folder / "cache")
    try:
        yield
    finally:
        os.chdir(before)
        if cache is None:
            del os.environ[CACHE]
