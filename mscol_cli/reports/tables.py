"""The result of a probe as a table people read and a dictionary programs read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

LISTED = 20


@dataclass(frozen=True)
class Score:
    """One metric on the test clips.

    Attributes:
        value: Mean over seeds.
        low: Lower bound of the 95 % bootstrap interval of that mean, over test clips.
        high: Its upper bound.
        std_over_seeds: Standard deviation over seeds, 0 for one seed.
        per_seed: The score of each seed's classifier.
    """

    value: float
    low: float
    high: float
    std_over_seeds: float
    per_seed: tuple[float, ...]


@dataclass(frozen=True)
class ProbeSummary:
    """What a probe found, in plain values.

    Attributes:
        task: Name of the task.
        data: The data set's folder.
        options: The task's options.
        model: Name of the model.
        model_hash: Of its weights.
        model_step: Updates it was trained for.
        seeds: Classifiers trained.
        metrics: By name, the headline first.
        counts: By split, how many clips were embedded.
        windows: By split, how many windows they gave.
        classes: How many the task has.
        unscored: Classes that no macro average includes, for want of positives or of negatives
            in the test split.
        best_epochs: Of each seed's classifier.
        missing: Clips the metadata names whose audio is not there.
        failures: Clips whose audio could not be used: their name, and why.
        notes: What to know when reading the scores.
        seconds: How long each stage took.
    """

    task: str
    data: str
    options: Mapping[str, Any]
    model: str
    model_hash: str
    model_step: int
    seeds: int
    metrics: Mapping[str, Score]
    counts: Mapping[str, int]
    windows: Mapping[str, int]
    classes: int
    unscored: Sequence[str] = ()
    best_epochs: Sequence[int] = ()
    missing: Sequence[str] = ()
    failures: Sequence[tuple[str, str]] = ()
    notes: Sequence[str] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class ProbeResult(ProbeSummary):
    """What a probe found, and the files that say so."""

    json_path: Path = Path()
    markdown_path: Path = Path()


def summary_dict(summary: ProbeSummary) -> dict[str, Any]:
    """Everything, in types that JSON has."""
    return {name: _plain(value) for name, value in asdict(summary).items()}


def summary_markdown(summary: ProbeSummary) -> str:
    """A page: the scores with their intervals, the counts, and what was left out."""
    blocks = [
        f"# {summary.task}: {summary.model}",
        f"Data: `{summary.data}`. Classifiers trained: {summary.seeds}.",
        _score_table(summary),
        _count_table(summary),
        _listing("Notes", summary.notes),
        _listing("In no macro average, one-sided in the test split", summary.unscored),
        _listing("Audio missing", summary.missing),
        _listing("Audio not usable", [f"{name}: {reason}" for name, reason in summary.failures]),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose columns after the first are aligned to the right."""
    rule = ["---", *("---:" for _ in header[1:])]
    return "\n".join(f"| {' | '.join(map(_cell, row))} |" for row in (header, rule, *rows))


def _score_table(summary: ProbeSummary) -> str:
    header = ("metric", "score", "95 % interval over clips", "std over seeds")
    rows = [
        (name, f"{score.value:.4f}", f"{score.low:.4f} to {score.high:.4f}", _spread(summary, name))
        for name, score in summary.metrics.items()
    ]
    return markdown_table(header, rows)


def _spread(summary: ProbeSummary, metric: str) -> str:
    return f"{summary.metrics[metric].std_over_seeds:.4f}" if summary.seeds > 1 else "one seed"


def _count_table(summary: ProbeSummary) -> str:
    rows = [
        (split, str(count), str(summary.windows[split])) for split, count in summary.counts.items()
    ]
    return markdown_table(("split", "clips", "windows"), rows)


def _listing(title: str, lines: Sequence[str]) -> str:
    if not lines:
        return ""
    shown = [f"- {' '.join(line.split())}" for line in lines[:LISTED]]
    more = [f"- and {len(lines) - LISTED} more, in the JSON"] if len(lines) > LISTED else []
    return "\n".join([f"{title} ({len(lines)}):", "", *shown, *more])


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value
