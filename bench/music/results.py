"""Write the results of the study of the music bench.

Usage:
    python -m bench.music.results [FOLDER] [--kept bench/music/kept] [-o bench/music/RESULTS.md]

FOLDER is that of `python -m bench.music.study`. With `--kept`, its runs are added to those that
this folder has from earlier studies and other machines, and the page is about all of them.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.music.convergence import Point, keep_points, read_points
from bench.music.rows import GROUPS, STEMS, Row
from bench.music.runs import Key, Run, check_clips, keep, read_kept, read_runs
from bench.music.scores import Pooled, compare, pool_rows
from bench.music.specialisation import Specialisation, specialisations
from mscol_cli.probe.bootstrap import LEVEL, Difference, Resampled, holm
from mscol_cli.probe.published import PUBLISHED
from mscol_cli.system.files import write_text

COLUMNS: Mapping[str, Key] = {
    "tags, ROC-AUC": ("mtat", "filtered", "roc_auc"),
    "tags, AP": ("mtat", "filtered", "average_precision"),
    "instruments": ("nsynth", "test", "accuracy"),
    "recorded notes": ("nsynth", "test-real", "accuracy"),
    "styles": ("fma", "test", "accuracy"),
    "stems, R@10": ("stems", "test", "recall_at_10"),
}
BASELINES = {"logmel": "mean and deviation of log-mel bands", "mini": "the bundled encoder"}
REFERENCES: Mapping[str, str | None] = {
    "untrained": None,
    "logmel": None,
    "cola": None,
    "msa-sounding": None,
    "clmr": None,
    "large-untrained": "large",
}
"""Rows from which the differences of all others are listed, or those of a group."""
WITHIN = {("mini", "clmr")}
"""Pairs that are not compared, as the first is one of the runs of the second."""
PAPER = {
    "cola": "COLA",
    "mws": "COLA + MWS",
    "random-mask": "COLA + Random Mask",
    "msa": "COLA + MSA",
    "clmr": "CLMR",
}
PAPER_TASKS = ("tags, ROC-AUC", "instruments", "styles")
READINGS = {
    (False, False): "cannot tell",
    (True, False): "holds",
    (False, True): "does not hold",
    (True, True): "mixed",
}
"""Reading of a claim, by whether the first row is ahead on a task, and whether it is behind."""


@dataclass(frozen=True)
class Claim:
    """A claim of the paper, as rows whose first one is ahead of the second on some tasks."""

    text: str
    pairs: Sequence[tuple[str, str]]
    tasks: Sequence[str] = PAPER_TASKS


CLAIMS = (
    Claim(
        "MSA is ahead of COLA",
        (
            ("msa", "cola"),
            ("msa-sounding", "cola"),
            ("rendered-true", "rendered-cola"),
            ("large-msa", "large-cola"),
        ),
    ),
    Claim(
        "MSA is ahead of MWS, except on instruments", (("msa", "mws"),), ("tags, ROC-AUC", "styles")
    ),
    Claim("MSA is ahead of random masks", (("msa", "random-mask"),)),
    Claim(
        "MSA of all sources is ahead of each alone", tuple(("msa", f"msa-{one}") for one in STEMS)
    ),
    Claim(
        "Vocals and other are the best single sources",
        (
            ("msa-vocals", "msa-bass"),
            ("msa-vocals", "msa-drums"),
            ("msa-other", "msa-bass"),
            ("msa-other", "msa-drums"),
        ),
    ),
    Claim(
        "True stems are ahead of separated ones",
        (
            ("rendered-true", "rendered-separated"),
            ("hour-true", "hour-htdemucs"),
            ("hour-true", "hour-separated"),
        ),
    ),
)

Rows = Mapping[str, Pooled]


def main(arguments: list[str] | None = None) -> None:
    """Read the studies and write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?", help="folder of the studies")
    parser.add_argument("--kept", type=Path, help="folder of the scores of earlier runs")
    parser.add_argument("-o", "--output", type=Path, default=Path("RESULTS.md"), help="page")
    args = parser.parse_args(arguments)
    runs = read_runs(args.folder) if args.folder else {}
    points = read_points(args.folder, list(COLUMNS.values())) if args.folder else []
    if args.kept:
        check_clips([*read_kept(args.kept).values(), *runs.values()])
        keep(args.kept, runs.values())
        runs = read_kept(args.kept)
        points = keep_points(args.kept, points)
    write_text(args.output, "\n".join(page(pool_rows(runs.values()), points)) + "\n")


def page(rows: Rows, points: Sequence[Point] = ()) -> Iterator[str]:
    """Lines of the page."""
    listed = [row for group in GROUPS.values() for row in group if row.name in rows]
    names = [name for name in (*BASELINES, *(row.name for row in listed)) if name in rows]
    yield "# Results of the music bench\n"
    yield "Written by `python -m bench.music.results`; the rows are in `bench/music/rows.py`.\n"
    yield from _settings(rows, listed)
    yield "\n## Scores\n"
    yield (
        "Means over the seeds of pre-training. The 95 % intervals are over test clips and seeds:"
        " resamples draw whole families of grooves, instruments and songs, and add the error of a"
        " mean over so many seeds, with the standard deviation over seeds of all trained rows, or"
        " all untrained ones. Tags with fewer than ten positive or negative test clips are not"
        " scored."
    )
    yield ""
    yield from _scores(rows, names)
    for reference, group in REFERENCES.items():
        compared = [row.name for row in GROUPS[group]] if group else names
        if reference in rows:
            yield f"\n## Difference from {reference}\n"
            yield from _differences(rows, [name for name in compared if name in rows], reference)
    if points:
        yield "\n## Convergence\n"
        yield "Scores of the checkpoints of single runs, on the test clips.\n"
        yield from _convergence(points)
    if lines := list(_claims(rows)):
        yield "\n## The paper's claims\n"
        yield (
            "A claim is read from the p-values of its differences on the tasks that it is about,"
            " corrected for their number by Holm's method. A difference holds if the first row is"
            " ahead on one of these tasks (p <= 0.05) and behind on none. Otherwise it does not, is"
            " mixed, or the runs cannot tell."
        )
        yield ""
        yield from table(("claim", "difference", *COLUMNS, "reading"), lines)
    if found := specialisations(rows):
        yield "\n## Specialisation by source\n"
        yield (
            "Mean ROC-AUC over the tags of a source (`bench/music/specialisation.py`). The gain is"
            " the score of the row that learned from this source alone, minus the mean of the other"
            " three."
        )
        yield ""
        yield from _specialisation(found)
    yield "\n## Validation scores\n"
    yield "Choices are made by these, not by test scores.\n"
    yield from _validation(rows, names)


def table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> Iterator[str]:
    """A Markdown table; all columns but the first are aligned to the right."""
    yield f"| {' | '.join(header)} |"
    yield f"|---|{'---:|' * (len(header) - 1)}"
    for line in lines:
        yield f"| {' | '.join(line)} |"


def _settings(rows: Rows, listed: Sequence[Row]) -> Iterator[str]:
    header = ("row", "what", "objective", "seeds", "updates", "pairs/s")
    lines = []
    for row in listed:
        runs = rows[row.name].runs
        options = " ".join((row.objective, *row.options)) if row.trained else "-"
        updates = " and ".join(f"{steps:,}" for steps in sorted({run.steps for run in runs}))
        lines.append((row.name, row.about, options, str(len(runs)), updates, _speed(runs)))
    lines += [
        (name, about, "-", "-", "-", "-") for name, about in BASELINES.items() if name in rows
    ]
    yield from table(header, lines)
    yield (
        "\nPairs/s on one core: the 90th percentile of the fastest run. Rows were trained on"
        " different machines, and beside other programs."
    )


def _speed(runs: Sequence[Run]) -> str:
    speeds = [run.pairs_per_second for run in runs if run.pairs_per_second]
    return f"{max(speeds):.0f}" if speeds else "-"


def _scores(rows: Rows, names: Sequence[str]) -> Iterator[str]:
    chance = {key: score for row in rows.values() for key, score in row.chance.items()}
    lines = [("chance", *(_number(chance.get(key)) for key in COLUMNS.values()))]
    lines += [
        (name, *(_score(rows[name].scores.get(key)) for key in COLUMNS.values())) for name in names
    ]
    yield from table(("row", *COLUMNS), lines)
    yield "\nIn the paper, on MagnaTagATune, NSynth and FMA:\n"
    published = {
        (one.framework, one.task, one.test_set, one.metric): one.value for one in PUBLISHED
    }
    yield from table(
        ("row", *COLUMNS),
        [
            (name, *(_number(published.get((framework, *key))) for key in COLUMNS.values()))
            for name, framework in PAPER.items()
        ],
    )


def _number(score: float | None) -> str:
    return "-" if score is None else f"{score:.3f}"


def _score(score: Resampled | None) -> str:
    if score is None:
        return "-"
    low, high = score.interval()
    return f"{score.value:.3f} [{low:.3f}, {high:.3f}]"


def _differences(rows: Rows, names: Sequence[str], reference: str) -> Iterator[str]:
    lines = [
        (name, *(_difference(compare(rows, name, reference, key)) for key in COLUMNS.values()))
        for name in names
        if name != reference and (name, reference) not in WITHIN
    ]
    yield from table(("row", *COLUMNS), lines)


def _difference(one: Difference | None) -> str:
    if one is None:
        return "-"
    text = f"{one.value:+.3f} [{one.low:+.3f}, {one.high:+.3f}]"
    return f"**{text}**" if settled(one) else text


def settled(one: Difference) -> bool:
    """Whether the interval excludes 0."""
    return one.low > 0 or one.high < 0


def _convergence(points: Sequence[Point]) -> Iterator[str]:
    columns = {key: name for name, key in COLUMNS.items()}
    steps = sorted({point.step for point in points})
    scores = {(point.run, point.key, point.step): point.score for point in points}
    lines = [
        (run, columns[key], *(_number(scores.get((run, key, step))) for step in steps))
        for run, key in sorted({(point.run, point.key) for point in points})
    ]
    yield from table(("run", "score", *(f"{step:,}" for step in steps)), lines)


def _claims(rows: Rows) -> Iterator[tuple[str, ...]]:
    for claim in CLAIMS:
        found = {
            pair: {name: compare(rows, *pair, key) for name, key in COLUMNS.items()}
            for pair in claim.pairs
            if rows.keys() >= {*pair}
        }
        readings = read_claim([[of[task] for task in claim.tasks] for of in found.values()])
        for (pair, values), reading in zip(found.items(), readings, strict=True):
            yield (claim.text, " - ".join(pair), *map(_difference, values.values()), reading)


def read_claim(pairs: Sequence[Sequence[Difference | None]]) -> list[str]:
    """Whether each pair of rows supports a claim, by the differences of its tasks."""
    known = [one for pair in pairs for one in pair if one is not None]
    corrected = iter(holm([one.p for one in known]))
    readings = []
    for pair in pairs:
        signs = {one.value > 0 for one in pair if one is not None and next(corrected) <= 1 - LEVEL}
        readings.append(READINGS[True in signs, False in signs])
    return readings


def _specialisation(found: Sequence[Specialisation]) -> Iterator[str]:
    names = list(found[0].scores)
    lines = [
        (
            f"tags of {one.source}",
            *(_number(one.scores[name].value) for name in names),
            _difference(one.gain),
        )
        for one in found
    ]
    yield from table(("ROC-AUC", *names, "gain"), lines)


def _validation(rows: Rows, names: Sequence[str]) -> Iterator[str]:
    tasks = [COLUMNS[name][0] for name in PAPER_TASKS]
    lines = [(name, *(_number(rows[name].valid(task)) for task in tasks)) for name in names]
    yield from table(("row", "tags", "instruments", "styles"), lines)


if __name__ == "__main__":
    main()
