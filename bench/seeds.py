"""What several pre-training seeds say of the demo: does an objective gain on the untrained encoder?

    python bench/seeds.py FOLDER --only untrained,msa,cola
    python bench/seeds.py FOLDER --seeds 5 --tasks nsynth      # every condition

The demo's music, stores, encoder and settings; one run a condition and seed, each command skipped
where its output is there. Seeds of one number start from the same weights, in every condition, and
all are tested on the same clips. The demo's 72 notes are few, so there are those of more
collections, whose instruments nobody trained on either: classifiers are trained on each collection,
and tested on its own test notes.

Prints a Markdown table a task: the mean over runs, the lowest and highest run, and the difference
from the untrained encoder (or `--against` another condition) of the same seeds, with a 95 %
interval that has in it both the spread over runs (by Student's t) and that over test clips (a
bootstrap; of notes over whole instruments, since notes of one instrument are much alike).
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from mscol_cli.app import run as mscol
from mscol_cli.contracts.progress import Silent
from mscol_cli.probe.scores import ClipScores, read_scores
from mscol_cli.runs.checkpoint import latest_checkpoint
from mscol_cli.runs.layout import point_latest
from mscol_cli.study.music import synthesise
from mscol_cli.synthetic import write_collection

Floats = NDArray[np.float64]

MINI_STORE, TRUE_STORE = Path("data/mtat.store"), Path("data/stems.store")
SMALL = ("--encoder", "small", "--batch-size", "32")
KEPT = ("--save-every", "100", "--keep-last", "99")
TRAINING_CLIPS = ("--train-split", "mtat")
UNTRAINED = "untrained"
CLASSIFIERS, DRAWS = 3, 2_000


@dataclass(frozen=True)
class Condition:
    """How an encoder is pre-trained.

    Attributes:
        options: Of `pretrain`.
        store: What from.
        steps: Updates; None for as many as asked for.
        early: Whether it is a checkpoint, after `steps`, of the condition before the dash.
    """

    options: Sequence[str] = ()
    store: Path = MINI_STORE
    steps: int | None = None
    early: bool = False


def _objective(name: str, *options: str) -> Condition:
    return Condition(("--objective", name, *options, *TRAINING_CLIPS))


CONDITIONS: Mapping[str, Condition] = {
    UNTRAINED: Condition(),
    # Weights hardly move; what batch normalisation takes for mean and variance does.
    "statistics": Condition(_objective("msa", "--lr", "1e-12").options, steps=100),
    "msa": _objective("msa"),
    "msa-300": Condition(steps=300, early=True),
    "cola": _objective("cola"),
    "cola-300": Condition(steps=300, early=True),
    "mws": _objective("mws"),
    # This store holds songs to train on alone.
    "msa-true": Condition(("--objective", "msa"), TRUE_STORE),
    "msa-sounding": _objective("msa", "--opt", "silent_share=0"),
    "msa-other": _objective("msa", "--stems", "other"),
    "msa-slow": _objective("msa", "--lr", "3e-4"),
}


@dataclass(frozen=True)
class Result:
    """One condition on one task.

    Attributes:
        runs: Its score by seed.
        draws: (draws,) the mean over seeds on drawn test clips, the same for every condition.
    """

    runs: Floats
    draws: Floats


def main() -> None:
    """Do what is not done yet, and print the tables."""
    given = read_arguments()
    given.folder.mkdir(parents=True, exist_ok=True)
    os.chdir(given.folder)
    os.environ.setdefault("MSCOL_CACHE", str(Path("cache").absolute()))
    names = given.only.split(",") if given.only else list(CONDITIONS)
    found = prepare(given.collections, given.workers)
    tasks = {task: found[task] for task in given.tasks.split(",")}
    for seed in range(given.seeds):
        for name in names:
            for task, folders in tasks.items():
                for folder in folders:
                    probe(name, seed, task, folder, given.steps)
    for task, folders in tasks.items():
        results = {name: result(name, given.seeds, task, folders) for name in names}
        print(f"\n{task}, {given.seeds} seeds\n\n" + "\n".join(table(results, given.against)))


def read_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, help="where everything goes; one of `demo` will do")
    parser.add_argument("--only", help="conditions, a,b,c: " + ", ".join(CONDITIONS))
    parser.add_argument("--against", default=UNTRAINED, help="what differences are from")
    parser.add_argument("--tasks", default="nsynth,mtat,fma")
    parser.add_argument("--seeds", type=int, default=3, help="runs a condition")
    parser.add_argument("--steps", type=int, default=1_000, help="updates of a run")
    parser.add_argument("--collections", type=int, default=4, help="of notes, the demo's included")
    parser.add_argument("--workers", type=int, default=1, help="processes that make music")
    return parser.parse_args()


def prepare(collections: int, workers: int) -> dict[str, list[Path]]:
    """Music and stores as the demo has them; the folders of every task."""
    synthesise(Path("data"), 400, workers, Silent())
    do("separate", "data/mtat", "--separator", "openunmix", "--model", "mini", "--opt", "niter=0")
    do("separate", "data/stems", "--separator", "stems")
    notes = [Path("data/nsynth")]
    for seed in range(1, collections):
        made = write_collection(
            Path(f"notes{seed}"), songs=16, seconds=2, notes=400, seed=seed, workers=workers
        )
        notes.append(made.nsynth)
    return {"nsynth": notes, "mtat": [Path("data/mtat")], "fma": [Path("data/fma")]}


def do(*command: str) -> None:
    """Run a command of mscol, or end with its exit code."""
    if code := mscol(command):
        raise SystemExit(code)


def probe(name: str, seed: int, task: str, data: Path, steps: int) -> None:
    """Train what is to be probed, and probe it, where that is not done."""
    output = place(name, seed, task, data)
    if (output / "probe.json").exists():
        return
    model = UNTRAINED if name == UNTRAINED else str(train(name, seed, steps))
    if name == UNTRAINED:
        # An untrained encoder has the weights that the latest run started from.
        point_latest(Path("runs"), train("msa", seed, steps))
    classifiers = ("--seeds", str(CLASSIFIERS))
    do("probe", task, "--data", str(data), "--model", model, *classifiers, "-o", str(output))


def place(name: str, seed: int, task: str, data: Path) -> Path:
    """Folder of a probe's result."""
    return Path("results", f"{name}-{seed}", f"{task}-{data.parent.name}")


def train(name: str, seed: int, steps: int) -> Path:
    """The run or checkpoint of a condition; begun, resumed, or there."""
    condition = CONDITIONS[name]
    if condition.early:
        run = train(name.partition("-")[0], seed, steps)
        return run / "checkpoints" / f"step-{condition.steps:08d}"
    run = Path("runs", f"{name}-{seed}")
    steps = condition.steps or steps
    found = latest_checkpoint(run) if run.exists() else None
    if found is None:
        asked = ("--steps", str(steps), "--seed", str(seed), *SMALL, *KEPT)
        do("pretrain", str(condition.store), *condition.options, *asked, "-o", str(run))
    elif found.step < steps:
        do("pretrain", "--resume", "-o", str(run))
    return run


def result(name: str, seeds: int, task: str, folders: Sequence[Path]) -> Result:
    """Scores of all seeds, and their mean on drawn clips."""
    kept = [
        [read_scores(place(name, seed, task, data) / "scores.safetensors") for data in folders]
        for seed in range(seeds)
    ]
    if task != "nsynth":
        # mscol's own draws are the same for all models of as many clips.
        test_set, metric = next(iter(kept[0][0].resampled))
        found = [of_seed[0].resampled[test_set, metric] for of_seed in kept]
        return Result(
            np.array([one.value for one in found]), np.mean([one.draws for one in found], axis=0)
        )
    instruments = np.concatenate([_instruments(one, row) for row, one in enumerate(kept[0])])
    hits = np.stack([np.concatenate([_hits(one) for one in of_seed]) for of_seed in kept])
    return Result(hits.mean(axis=1), draw(hits.mean(axis=0), instruments))


def _hits(kept: ClipScores) -> Floats:
    """(clips,) share of the classifiers that are right."""
    right = kept.scores.argmax(axis=2) == kept.targets.argmax(axis=1)
    return np.asarray(right.mean(axis=0))


def _instruments(kept: ClipScores, collection: int) -> NDArray[np.str_]:
    return np.array([f"{collection} {clip.partition('-')[0]}" for clip in kept.ids])


def draw(hits: Floats, groups: NDArray[np.str_]) -> Floats:
    """(draws,) the mean over clips of whole groups drawn with replacement."""
    _, group = np.unique(groups, return_inverse=True)
    sums, sizes = np.bincount(group, hits), np.bincount(group)
    rows = np.random.default_rng(0).integers(len(sizes), size=(DRAWS, len(sizes)))
    return np.asarray(sums[rows].sum(axis=1) / sizes[rows].sum(axis=1))


def table(results: Mapping[str, Result], against: str) -> Iterator[str]:
    """Markdown rows."""
    yield f"| condition | mean over seeds | lowest, highest | minus {against}, 95 % |"
    yield "|---|---:|---:|---:|"
    for name, one in results.items():
        other = results.get(against)
        cell = "" if name == against or other is None else difference(one, other)
        runs = f"{one.runs.min():.3f}, {one.runs.max():.3f}"
        yield f"| {name} | {one.runs.mean():.3f} | {runs} | {cell} |"


def difference(one: Result, other: Result) -> str:
    """The paired difference with its interval.

    The variance of its mean over runs is that over seeds plus that over clips; degrees of freedom
    are Satterthwaite's, clips having many.
    """
    by_seed = one.runs - other.runs
    seeds = len(by_seed)
    if seeds == 1:
        return f"{by_seed[0]:+.3f}"
    over_seeds = float(by_seed.var(ddof=1)) / seeds
    over_clips = float((one.draws - other.draws).var())
    freedom = (seeds - 1) * ((over_seeds + over_clips) / over_seeds) ** 2
    half = float(student.ppf(0.975, freedom)) * float(np.sqrt(over_seeds + over_clips))
    mean = float(by_seed.mean())
    return f"{mean:+.3f} [{mean - half:+.3f}, {mean + half:+.3f}]"


if __name__ == "__main__":
    main()
