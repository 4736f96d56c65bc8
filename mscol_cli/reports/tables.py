"""The result of a probe as a table people read and a dictionary programs read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mscol_cli.reports.attribution import Attribution, attribution_markdown

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
class ScoredSet:
    """Scores on one set of test clips; scores on different sets are on different scales.

    Attributes:
        name: Of the set.
        clips: How many were scored.
        metrics: By name, the headline first.
        unscored: Classes that no macro average includes, for want of positives or of negatives.
    """

    name: str
    clips: int
    metrics: Mapping[str, Score]
    unscored: Sequence[str] = ()


@dataclass(frozen=True)
class LabelBudget:
    """Scores of classifiers trained on a share of the training clips.

    Attributes:
        fraction: The share that was asked for.
        clips: How many clips that were; the mean over seeds, each of which draws its own.
        test_sets: Scores, the headline set first.
    """

    fraction: float
    clips: float
    test_sets: Sequence[ScoredSet]


@dataclass(frozen=True)
class ProbeSummary:
    """What a probe found, in plain values.

    Attributes:
        task: Name of the task.
        data: The data set's folder.
        options: The task's options.
        protocol: How classifiers were trained and chosen.
        recipe: Name of the recipe; empty for none.
        model: Name of the model.
        model_hash: Of its weights.
        model_step: Updates it was trained for.
        seeds: Classifiers trained.
        test_sets: Scores, the headline set first.
        counts: By split, how many clips were embedded.
        windows: By split, how many windows they gave.
        classes: Their names, in label order.
        best_epochs: Of each seed's classifier.
        missing: Clips the metadata names whose audio is not there.
        failures: Clips whose audio could not be used: their name, and why.
        notes: What to know when reading the scores.
        seconds: How long each stage took.
        multilabel: Whether a clip may have many labels.
        weight_decays: Of each seed's classifier, where it was chosen on validation.
        label_budgets: Scores with fewer labelled clips.
        attribution: Scores when only one source of each test clip is heard.
    """

    task: str
    data: str
    options: Mapping[str, Any]
    protocol: Mapping[str, Any]
    recipe: str
    model: str
    model_hash: str
    model_step: int
    seeds: int
    test_sets: Sequence[ScoredSet]
    counts: Mapping[str, int]
    windows: Mapping[str, int]
    classes: Sequence[str]
    best_epochs: Sequence[int] = ()
    missing: Sequence[str] = ()
    failures: Sequence[tuple[str, str]] = ()
    notes: Sequence[str] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    multilabel: bool = False
    weight_decays: Sequence[float] = ()
    label_budgets: Sequence[LabelBudget] = ()
    attribution: Attribution | None = None


@dataclass(frozen=True)
class ProbeResult(ProbeSummary):
    """What a probe found, and the files that say so."""

    json_path: Path = Path()
    markdown_path: Path = Path()
    scores_path: Path = Path()
    picture_path: Path | None = None
    sources_path: Path | None = None


def summary_dict(summary: ProbeSummary) -> dict[str, Any]:
    """Everything, in types that JSON has."""
    return {name: _plain(value) for name, value in asdict(summary).items()}


def summary_markdown(summary: ProbeSummary) -> str:
    """A page: the scores with their intervals, the counts, and what was left out."""
    blocks = [
        f"# {summary.task}: {summary.model}",
        _how(summary),
        _score_table(summary),
        _budget_table(summary),
        _count_table(summary),
        _listing("Notes", summary.notes),
        *(
            _listing(f"In no macro average, one-sided in {_set(one)}", one.unscored)
            for one in summary.test_sets
        ),
        _listing("Audio missing", summary.missing),
        _listing("Audio not usable", [f"{name}: {reason}" for name, reason in summary.failures]),
        attribution_markdown(summary.attribution, summary.classes) if summary.attribution else "",
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose columns after the first are aligned to the right."""
    rule = ["---", *("---:" for _ in header[1:])]
    return "\n".join(f"| {' | '.join(map(_cell, row))} |" for row in (header, rule, *rows))


def _score_table(summary: ProbeSummary) -> str:
    header = ("test set", "metric", "score", "95 % interval over clips", "std over seeds")
    rows = [
        (
            _set(one),
            name,
            f"{score.value:.4f}",
            f"{score.low:.4f} to {score.high:.4f}",
            _spread(score),
        )
        for one in summary.test_sets
        for name, score in one.metrics.items()
    ]
    return markdown_table(header, rows)


def _budget_table(summary: ProbeSummary) -> str:
    header = ("labelled clips", "share", "test set", "metric", "score", "95 % interval", "std")
    rows = [
        (
            f"{budget.clips:,.0f}",
            f"{budget.fraction:g}",
            one.name,
            name,
            f"{score.value:.4f}",
            f"{score.low:.4f} to {score.high:.4f}",
            _spread(score),
        )
        for budget in summary.label_budgets
        for one in budget.test_sets
        for name, score in one.metrics.items()
    ]
    return markdown_table(header, rows) if rows else ""


def _set(test_set: ScoredSet) -> str:
    return f"{test_set.name} ({test_set.clips:,} clips)"


def _spread(score: Score) -> str:
    return f"{score.std_over_seeds:.4f}" if len(score.per_seed) > 1 else "one seed"


def _how(summary: ProbeSummary) -> str:
    trained = f"Classifiers trained: {summary.seeds}{_kind(summary)}."
    return f"Data: `{summary.data}`. {trained}{_recipe(summary)}"


def _kind(summary: ProbeSummary) -> str:
    if not summary.weight_decays:
        return ""
    chosen = ", ".join(dict.fromkeys(f"{value:g}" for value in summary.weight_decays))
    return f" ({summary.protocol['classifier']}, weight decay {chosen}, chosen on validation)"


def _recipe(summary: ProbeSummary) -> str:
    return f" Recipe: `{summary.recipe}`." if summary.recipe else ""


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
