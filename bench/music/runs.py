"""Scores of single runs of the study: read from its folders, and kept in small files.

A kept file has what the results need of a run, some 65 kB, so that runs of several machines and
weeks make one table. Its scores can be paired with those of another run on the same test clips.
Resamples draw whole families of grooves, the "artists" of the tasks, and whole instruments.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open

from bench.music.rows import GROUPS
from mscol_cli.probe.bootstrap import Resampled, resample_all
from mscol_cli.probe.paired import has_enough_clips
from mscol_cli.probe.result import SCORES, ProbeResult, read
from mscol_cli.probe.scores import ClipScores, read_scores
from mscol_cli.runs.layout import PROBE_REPORT, PROBES, RUN, read_run
from mscol_cli.runs.metrics import read_metrics
from mscol_cli.system.tensors import save_tensors

Key = tuple[str, str, str]
"""Task, test set and metric."""
SUFFIX = ".safetensors"
TAGGING = "mtat"
TAG_SET, TAG_METRIC = "filtered", "roc_auc"
TAG_METRICS = (TAG_METRIC, "average_precision")
EARLIER_TAG_SETS = (TAG_SET, "unfiltered")
"""Test sets of tags in kept runs. They have the same clips, as every clip has a tag."""
TAGS: Mapping[str, tuple[str, ...]] = {
    "vocals": ("vocals", "voice", "choir"),
    "bass": ("electric bass", "acoustic bass", "synth bass"),
    "drums": ("drums", "electronic drums"),
    "other": (
        *("piano", "electric piano", "organ", "harpsichord", "accordion", "mallets", "bells"),
        *("acoustic guitar", "electric guitar", "distorted guitar", "banjo", "sitar", "harp"),
        *("strings", "brass", "flute", "synth pad", "synth lead"),
    ),
}
"""Tags that a source decides."""
FAST = 90
"""Percentile of the speeds of a run that tells what the machine can do, beside other programs."""


@dataclass
class Run:
    """Scores of one run, or of a model without one.

    Attributes:
        name: ROW-SEED, or the name of the model.
        steps: Training steps.
        pairs_per_second: Speed of training, per process; None if nothing was trained.
        scores: Scores on the test clips.
        tags: Mean ROC-AUC over the tags of each source; empty without the task.
        valid: Validation score by task.
        clips: Hash by task of all that makes scores comparable: the ids, groups and labels of
            the test clips, and the settings of the probe.
        chance: Scores of a classifier that guesses.
    """

    name: str
    steps: int = 0
    pairs_per_second: float | None = None
    scores: dict[Key, Resampled] = field(default_factory=dict)
    tags: dict[str, Resampled] = field(default_factory=dict)
    valid: dict[str, float] = field(default_factory=dict)
    clips: dict[str, str] = field(default_factory=dict)
    chance: dict[Key, float] = field(default_factory=dict)

    @property
    def row(self) -> str:
        """Name of the row."""
        row, _, seed = self.name.rpartition("-")
        return row if seed.isdecimal() else self.name


def read_runs(folder: Path) -> dict[str, Run]:
    """Runs with a probe in the studies of a folder, by name.

    Runs are `GROUP/ROW-SEED`; models without a run are `GROUP/probes/MODEL`.
    """
    found: dict[str, Run] = {}
    reports = (path for group in GROUPS for path in sorted((folder / group).rglob(PROBE_REPORT)))
    for report in reports:
        group, *model = report.relative_to(folder).parts
        name = model[1] if model[0] == PROBES else model[0]
        if name not in found:
            found[name] = _trained(folder / group / name, name)
        add_probe(found[name], report.parent)
    return found


def keep(folder: Path, runs: Iterable[Run]) -> None:
    """Write a file per run."""
    folder.mkdir(parents=True, exist_ok=True)
    for run in runs:
        about = {
            "steps": run.steps,
            "pairs_per_second": run.pairs_per_second,
            "scores": [[*key, score.value, score.units] for key, score in run.scores.items()],
            "tags": [[source, score.value, score.units] for source, score in run.tags.items()],
            "valid": run.valid,
            "clips": run.clips,
            "chance": [[*key, score] for key, score in run.chance.items()],
        }
        draws = np.stack([score.draws for score in (*run.scores.values(), *run.tags.values())])
        tensors = {"draws": torch.from_numpy(draws.astype(np.float32))}
        save_tensors(folder / f"{run.name}{SUFFIX}", tensors, {"about": json.dumps(about)})


def read_kept(folder: Path) -> dict[str, Run]:
    """Runs that were kept in a folder, by name."""
    return {path.stem: _kept(path) for path in sorted(folder.glob(f"*{SUFFIX}"))}


def add_probe(run: Run, probe: Path) -> None:
    """Add the scores of a probe to its run. Raises SystemExit if it draws single clips."""
    result, clips = _with_earlier_sets(read(probe), read_scores(probe / SCORES))
    if result.lacks_groups:
        raise SystemExit(f"{probe} draws single clips: probe again")
    run.scores |= {(result.task, *key): score for key, score in clips.resampled.items()}
    for test_set in result.test_sets:
        for metric, chance in test_set.baselines.get("chance", {}).items():
            run.chance[result.task, test_set.name, metric] = chance
    run.clips[result.task] = _digest(result, clips)
    if result.valid_scores:
        run.valid[result.task] = float(np.mean(result.valid_scores))
    if result.task == TAGGING:
        for metric, score in rescore(clips, TAG_SET, clips.classes).items():
            run.scores[TAGGING, TAG_SET, metric] = score
        run.tags = dict(_tags(clips))


def rescore(clips: ClipScores, test_set: str, classes: Collection[str]) -> dict[str, Resampled]:
    """Score some classes on resamples, by the metrics of tags.

    Tags with too few positive or negative clips (`has_enough_clips`) are left out: a tag with a
    single positive has the same score in nearly all resamples, so no interval would include its
    error. Empty if no tag remains.
    """
    rows = np.flatnonzero(clips.members[test_set])
    scores, targets = clips.scores[:, rows], clips.targets[rows]
    enough = has_enough_clips(targets, None)
    columns = [n for n, name in enumerate(clips.classes) if name in classes and enough[n]]
    if not columns:
        return {}
    groups = clips.groups.numbers(rows.tolist())
    return resample_all(TAG_METRICS, scores[..., columns], targets[:, columns], groups)


def check_clips(runs: Iterable[Run]) -> None:
    """Raise SystemExit if runs were probed differently, or tested on different clips."""
    first: dict[str, tuple[str, str]] = {}
    for run in runs:
        for task, clips in run.clips.items():
            name, expected = first.setdefault(task, (run.name, clips))
            if clips != expected:
                raise SystemExit(f"{name} and {run.name} have other clips or classifiers of {task}")


def _trained(run: Path, name: str) -> Run:
    if not (run / RUN).exists():
        return Run(name)
    speeds = [line["pairs_per_second"] for line in read_metrics(run)]
    training = read_run(run)["training"]
    speed = float(np.percentile(speeds, FAST)) / training["processes"] if speeds else None
    return Run(name, int(training["steps"]), speed)


def _tags(clips: ClipScores) -> Iterator[tuple[str, Resampled]]:
    for source, tags in TAGS.items():
        if scores := rescore(clips, TAG_SET, tags):
            yield source, scores[TAG_METRIC]


def _with_earlier_sets(result: ProbeResult, clips: ClipScores) -> tuple[ProbeResult, ClipScores]:
    """Name the one test set of tags as in kept runs, whose digests have the names."""
    if result.task != TAGGING or list(clips.members) != ["test"]:
        return result, clips
    (scored,), names = result.test_sets, EARLIER_TAG_SETS
    members = dict.fromkeys(names, clips.members["test"])
    resampled = {(name, key[1]): drawn for name in names for key, drawn in clips.resampled.items()}
    return (
        replace(result, test_sets=[replace(scored, name=name) for name in names]),
        replace(clips, members=members, resampled=resampled),
    )


def _digest(result: ProbeResult, clips: ClipScores) -> str:
    lines = "\n".join([*clips.ids, *clips.groups.names, result.settings])
    # Retrieval has no labels. Kept hashes are of two columns, as ranks once had.
    targets = clips.targets[:, :2] if result.is_retrieval else clips.targets
    return sha256(lines.encode() + np.packbits(targets).tobytes()).hexdigest()[:16]


def _kept(path: Path) -> Run:
    with safe_open(path, framework="numpy") as file:
        about = json.loads(file.metadata()["about"])
        draws = iter(file.get_tensor("draws").astype(np.float64))
    return Run(
        name=path.stem,
        steps=about["steps"],
        pairs_per_second=about["pairs_per_second"],
        scores={
            (task, at, metric): Resampled(value, next(draws), units)
            for task, at, metric, value, units in about["scores"]
        },
        tags={
            source: Resampled(value, next(draws), units) for source, value, units in about["tags"]
        },
        valid=about["valid"],
        clips=about["clips"],
        chance={(task, at, metric): score for task, at, metric, score in about["chance"]},
    )
