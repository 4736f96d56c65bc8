"""Variation of the demo's scores over pre-training seeds, compared with the untrained encoder.

    python bench/seeds.py FOLDER --only untrained,msa,cola
    python bench/seeds.py FOLDER --seeds 5 --tasks nsynth      # every condition

The script uses the music, stores, encoder and settings of the demo, with one run per condition and
seed. Commands whose output exists are skipped. Runs with the same seed start from the same weights
in every condition, and all are tested on the same clips. Because the demo has only 72 notes, more
collections of notes are added, whose instruments are also held out from training: classifiers are
trained on each collection and tested on its own test notes.

Prints one Markdown table per task: the mean over runs, the lowest and highest run, and the
difference from the untrained encoder (or another condition, `--against`) with the same seeds. Its
95 % interval includes the variance over runs (by Student's t) and over test clips (by a bootstrap;
notes are resampled by instrument, because notes of one instrument are similar).
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
SAVING = ("--save-every", "100", "--keep-last", "99")
TRAINING_CLIPS = ("--train-split", "mtat")
UNTRAINED = "untrained"
CLASSIFIERS, DRAWS = 3, 2_000


@dataclass(frozen=True)
class Condition:
    """How an encoder is pre-trained.

    Attributes:
        options: Options of `pretrain`.
        store: Training store.
        steps: Number of training steps; None uses `--steps`.
        early: Whether to use the checkpoint at `steps` of the condition named before the dash.
    """

    options: Sequence[str] = ()
    store: Path = MINI_STORE
    steps: int | None = None
    early: bool = False


def _objective(name: str, *options: str) -> Condition:
    return Condition(("--objective", name, *options, *TRAINING_CLIPS))


CONDITIONS: Mapping[str, Condition] = {
    UNTRAINED: Condition(),
    # Weights hardly change, but batch normalisation statistics do.
    "statistics": Condition(_objective("msa", "--lr", "1e-12").options, steps=100),
    "msa": _objective("msa"),
    "msa-300": Condition(steps=300, early=True),
    "cola": _objective("cola"),
    "cola-300": Condition(steps=300, early=True),
    "mws": _objective("mws"),
    # This store contains only training songs.
    "msa-true": Condition(("--objective", "msa"), TRUE_STORE),
    "msa-sounding": _objective("msa", "--opt", "silent_share=0"),
    "msa-other": _objective("msa", "--stems", "other"),
    "msa-slow": _objective("msa", "--lr", "3e-4"),
}


@dataclass(frozen=True)
class Result:
    """Scores of one condition on one task.

    Attributes:
        runs: Scores, (seeds,).
        draws: Means over seeds on resampled test clips, (draws,), the same clips for every
            condition.
    """

    runs: Floats
    draws: Floats


def main() -> None:
    """Run missing commands and print the tables."""
    args = read_arguments()
    args.folder.mkdir(parents=True, exist_ok=True)
    os.chdir(args.folder)
    os.environ.setdefault("MSCOL_CACHE", str(Path("cache").absolute()))
    names = args.only.split(",") if args.only else list(CONDITIONS)
    data = prepare(args.collections, args.workers)
    tasks = {task: data[task] for task in args.tasks.split(",")}
    for seed in range(args.seeds):
        for name in names:
            for task, folders in tasks.items():
                for folder in folders:
                    probe(name, seed, task, folder, args.steps)
    for task, folders in tasks.items():
        results = {name: read_result(name, args.seeds, task, folders) for name in names}
        print(f"\n{task}, {args.seeds} seeds\n\n" + "\n".join(table(results, args.against)))


def read_arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, help="output folder; may be that of `demo`")
    parser.add_argument("--only", help="conditions, a,b,c: " + ", ".join(CONDITIONS))
    parser.add_argument("--against", default=UNTRAINED, help="baseline of the differences")
    parser.add_argument("--tasks", default="nsynth,mtat,fma")
    parser.add_argument("--seeds", type=int, default=3, help="runs per condition")
    parser.add_argument("--steps", type=int, default=1_000, help="training steps of a run")
    parser.add_argument("--collections", type=int, default=4, help="collections of notes")
    parser.add_argument("--workers", type=int, default=1, help="processes that synthesise music")
    return parser.parse_args()


def prepare(collections: int, workers: int) -> dict[str, list[Path]]:
    """Synthesise music and make the stores of the demo; returns the data folders of each task."""
    synthesise(Path("data"), 400, workers, Silent())
    do("separate", "data/mtat", "--separator", "openunmix", "--model", "mini", "--opt", "niter=0")
    do("separate", "data/stems", "--separator", "stems")
    notes = [Path("data/nsynth")]
    for seed in range(1, collections):
        collection = write_collection(
            Path(f"notes{seed}"), songs=16, seconds=2, notes=400, seed=seed, workers=workers
        )
        notes.append(collection.nsynth)
    return {"nsynth": notes, "mtat": [Path("data/mtat")], "fma": [Path("data/fma")]}


def do(*command: str) -> None:
    """Run a command of mscol; exits with its exit code if it fails."""
    if code := mscol(command):
        raise SystemExit(code)


def probe(name: str, seed: int, task: str, data: Path, steps: int) -> None:
    """Pre-train and probe, unless the result exists."""
    output = result_folder(name, seed, task, data)
    if (output / "probe.json").exists():
        return
    model = UNTRAINED if name == UNTRAINED else str(train(name, seed, steps))
    if name == UNTRAINED:
        # An untrained encoder has the initial weights of the latest run.
        point_latest(Path("runs"), train("msa", seed, steps))
    classifiers = ("--seeds", str(CLASSIFIERS))
    do("probe", task, "--data", str(data), "--model", model, *classifiers, "-o", str(output))


def result_folder(name: str, seed: int, task: str, data: Path) -> Path:
    """Folder of a probe result."""
    return Path("results", f"{name}-{seed}", f"{task}-{data.parent.name}")


def train(name: str, seed: int, steps: int) -> Path:
    """Start or resume the run of a condition if needed; returns the run or checkpoint."""
    condition = CONDITIONS[name]
    if condition.early:
        run = train(name.partition("-")[0], seed, steps)
        return run / "checkpoints" / f"step-{condition.steps:08d}"
    run = Path("runs", f"{name}-{seed}")
    steps = condition.steps or steps
    checkpoint = latest_checkpoint(run) if run.exists() else None
    if checkpoint is None:
        options = ("--steps", str(steps), "--seed", str(seed), *SMALL, *SAVING)
        do("pretrain", str(condition.store), *condition.options, *options, "-o", str(run))
    elif checkpoint.step < steps:
        do("pretrain", "--resume", "-o", str(run))
    return run


def read_result(name: str, seeds: int, task: str, folders: Sequence[Path]) -> Result:
    """Read the scores of all seeds."""
    scores = [
        [
            read_scores(result_folder(name, seed, task, data) / "scores.safetensors")
            for data in folders
        ]
        for seed in range(seeds)
    ]
    if task != "nsynth":
        # mscol resamples the same clips for all models.
        test_set, metric = next(iter(scores[0][0].resampled))
        resampled = [by_folder[0].resampled[test_set, metric] for by_folder in scores]
        return Result(
            np.array([score.value for score in resampled]),
            np.mean([score.draws for score in resampled], axis=0),
        )
    instruments = np.concatenate([_instruments(part, row) for row, part in enumerate(scores[0])])
    hits = np.stack([np.concatenate([_hits(part) for part in by_folder]) for by_folder in scores])
    return Result(hits.mean(axis=1), draw(hits.mean(axis=0), instruments))


def _hits(scores: ClipScores) -> Floats:
    """Share of correct classifiers, (clips,)."""
    correct = scores.scores.argmax(axis=2) == scores.targets.argmax(axis=1)
    return np.asarray(correct.mean(axis=0))


def _instruments(scores: ClipScores, collection: int) -> NDArray[np.str_]:
    return np.array([f"{collection} {clip.partition('-')[0]}" for clip in scores.ids])


def draw(hits: Floats, groups: NDArray[np.str_]) -> Floats:
    """Means of hits, (clips,), over groups of clips resampled with replacement, (draws,)."""
    _, group = np.unique(groups, return_inverse=True)
    sums, sizes = np.bincount(group, hits), np.bincount(group)
    rows = np.random.default_rng(0).integers(len(sizes), size=(DRAWS, len(sizes)))
    return np.asarray(sums[rows].sum(axis=1) / sizes[rows].sum(axis=1))


def table(results: Mapping[str, Result], against: str) -> Iterator[str]:
    """Markdown rows."""
    yield f"| condition | mean over seeds | lowest, highest | minus {against}, 95 % |"
    yield "|---|---:|---:|---:|"
    baseline = results.get(against)
    for name, result in results.items():
        cell = "" if name == against or baseline is None else difference(result, baseline)
        runs = f"{result.runs.min():.3f}, {result.runs.max():.3f}"
        yield f"| {name} | {result.runs.mean():.3f} | {runs} | {cell} |"


def difference(result: Result, baseline: Result) -> str:
    """Paired difference with its interval.

    The variance of the mean is the sum of the variances over seeds and over clips, with the degrees
    of freedom of Satterthwaite for a large number of clips.
    """
    by_seed = result.runs - baseline.runs
    seeds = len(by_seed)
    if seeds == 1:
        return f"{by_seed[0]:+.3f}"
    over_seeds = float(by_seed.var(ddof=1)) / seeds
    over_clips = float((result.draws - baseline.draws).var())
    freedom = (seeds - 1) * ((over_seeds + over_clips) / over_seeds) ** 2
    half = float(student.ppf(0.975, freedom)) * float(np.sqrt(over_seeds + over_clips))
    mean = float(by_seed.mean())
    return f"{mean:+.3f} [{mean - half:+.3f}, {mean + half:+.3f}]"


if __name__ == "__main__":
    main()
