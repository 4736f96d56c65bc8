"""Table of scores of several models on several tasks, and of their differences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mscol_cli.pages.page import Block, Listing, Page, Section, Table, Text, rows_by_name
from mscol_cli.probe.groups import describe_drawn, describe_size
from mscol_cli.probe.notes import Note
from mscol_cli.probe.published import Published, published_rows, published_scores, sources_line
from mscol_cli.probe.result import Score
from mscol_cli.system.values import as_json


@dataclass(frozen=True)
class Column:
    """One metric on one test set.

    Attributes:
        task: Name of the task.
        test_set: Name of the test set.
        metric: Name of the metric.
        clips: Number of scored test clips; 0 if it differs between models.
        headline: Whether the column is in the printed table; JSON has all columns.
        baselines: Scores of trivial classifiers, by name.
        unit: What is scored, such as `clips`.
        grouped_by: Kind of group that intervals and tests draw as a whole; empty for clips.
        groups: Number of these groups; 0 if clips are drawn.
    """

    task: str
    test_set: str
    metric: str
    clips: int
    headline: bool
    baselines: Mapping[str, float] = field(default_factory=dict)
    unit: str = "clips"
    grouped_by: str = ""
    groups: int = 0

    @property
    def key(self) -> tuple[str, str, str]:
        """Task, test set and metric."""
        return self.task, self.test_set, self.metric

    @property
    def title(self) -> str:
        """Name of the column, with the test set unless that is `test`."""
        test_set = "" if self.test_set == "test" else f" {self.test_set}"
        size = describe_size(self.clips, self.unit, self.grouped_by, self.groups)
        return f"{self.task}{test_set} {self.metric}{f' ({size})' if self.clips else ''}"


@dataclass(frozen=True)
class Row:
    """Results of a model.

    Attributes:
        model: Display name of the model.
        model_hash: Hash of the weights.
        model_step: Number of training steps.
        results: Folder of the result, by task.
        scores: Scores by `Column.key`.
    """

    model: str
    model_hash: str
    model_step: int
    results: Mapping[str, str]
    scores: Mapping[tuple[str, str, str], Score]


@dataclass(frozen=True)
class Comparison:
    """Difference of two models in one column, on the same test clips.

    Attributes:
        column: Column of the scores.
        first: Name of the first model.
        second: Name of the second model.
        clips: Number of test clips that both were scored on.
        difference: Score of the first minus score of the second.
        low: Lower bound of the 95 % interval of the difference.
        high: Upper bound of the interval.
        p: Two-sided p-value of the paired bootstrap.
        p_holm: p-value, corrected for the number of pairs in this column.
    """

    column: Column
    first: str
    second: str
    clips: int
    difference: float
    low: float
    high: float
    p: float
    p_holm: float = 1.0


@dataclass(frozen=True)
class JointTable:
    """Table of several probes.

    Attributes:
        columns: Tasks, test sets and metrics.
        rows: Models, in the requested order.
        comparisons: Every pair of models in every column.
        failures: Name and reason of each failed probe or comparison.
        notes: Notes of the results.
        folder: Folder of the files.
    """

    columns: Sequence[Column]
    rows: Sequence[Row]
    comparisons: Sequence[Comparison] = ()
    failures: Sequence[tuple[str, str]] = ()
    notes: Sequence[Note] = ()
    folder: Path = Path()

    @property
    def json_path(self) -> Path:
        """Path of the JSON file."""
        return self.folder / "probes.json"

    @property
    def markdown_path(self) -> Path:
        """Path of the page."""
        return self.folder / "probes.md"


def joint_dict(table: JointTable) -> dict[str, Any]:
    """Convert to JSON types; the scores of a row are in the order of the columns."""
    published = [score for column in table.columns for score in _published(column).values()]
    content: dict[str, Any] = as_json(
        {
            "columns": table.columns,
            "rows": [_row_dict(row, table.columns) for row in table.rows],
            "published": published,
            "comparisons": [_comparison_dict(pair) for pair in table.comparisons],
            "notes": table.notes,
            "failures": table.failures,
        }
    )
    return content


def joint_page(table: JointTable) -> Page:
    """Create a page of scores, differences, notes and failures."""
    columns = [column for column in table.columns if column.headline]
    compared = [pair for pair in table.comparisons if pair.column.headline]
    notes = [f"{_about(note, table.rows)}: {note.note}" for note in table.notes]
    failures = [f"{name}: {reason}" for name, reason in table.failures]
    blocks: list[Block] = [
        _score_table(table, columns),
        Text(_legend(columns)),
        *_comparison_table(compared),
        *([Listing("Notes", notes)] if notes else []),
        *([Listing("Not done", failures)] if failures else []),
    ]
    return Page("Probes", "", [Section("", blocks)])


def _published(column: Column) -> dict[str, Published]:
    return published_scores(*column.key[:2], column.clips, column.metric)


def _score_table(table: JointTable, columns: Sequence[Column]) -> Table:
    header = ("model", *(column.title for column in columns))
    models = [
        (row.model, *(_score(row.scores.get(column.key)) for column in columns))
        for row in table.rows
    ]
    baselines = rows_by_name([column.baselines for column in columns], ".4f", "")
    published = published_rows(list(map(_published, columns)), "")
    return Table("", header, [*models, *baselines, *published])


def _score(score: Score | None) -> str:
    if score is None:
        return "-"
    spread = f" ± {score.std_over_seeds:.4f}" if len(score.per_seed) > 1 else ""
    return f"{score.value:.4f}{spread} [{score.low:.4f}, {score.high:.4f}]"


def _legend(columns: Sequence[Column]) -> str:
    legend = (
        "Mean ± standard deviation over seeds; in brackets, the 95 % bootstrap interval over test"
        f" {_listed_units(columns)}."
    )
    return f"{legend} {sources_line(map(_published, columns))}".rstrip()


def _listed_units(columns: Sequence[Column]) -> str:
    """What the intervals draw: "clips", or "clips (mtat), instruments (nsynth)"."""
    tasks: dict[str, dict[str, None]] = {}
    for column in columns:
        tasks.setdefault(describe_drawn(column.grouped_by), {})[column.task] = None
    if len(tasks) == 1:
        return next(iter(tasks))
    return ", ".join(f"{drawn} ({', '.join(names)})" for drawn, names in tasks.items())


def _comparison_table(compared: Sequence[Comparison]) -> Iterator[Table]:
    if not compared:
        return
    many = any(pair.p != pair.p_holm for pair in compared)
    header = ["score", "models", "difference", "95 % interval", "p", *(["p, Holm"] if many else [])]
    rows = [
        (
            pair.column.title,
            f"{pair.first} minus {pair.second}",
            f"{pair.difference:+.4f}",
            f"{pair.low:+.4f} to {pair.high:+.4f}",
            f"{pair.p:.3f}",
            *([f"{pair.p_holm:.3f}"] if many else []),
        )
        for pair in compared
    ]
    yield Table("Differences, on the same test clips:", header, rows)


def _about(note: Note, rows: Sequence[Row]) -> str:
    """Task and models of a note; only the task if the note is on all of its models."""
    probed = [row.model for row in rows if note.task in row.results]
    models = [] if set(note.models) == set(probed) and len(rows) > 1 else note.models
    return ", ".join([note.task, *models])


def _row_dict(row: Row, columns: Sequence[Column]) -> dict[str, Any]:
    return {
        "model": row.model,
        "model_hash": row.model_hash,
        "model_step": row.model_step,
        "results": row.results,
        "scores": [row.scores.get(column.key) for column in columns],
    }


def _comparison_dict(pair: Comparison) -> dict[str, Any]:
    values = as_json(pair)
    column = values.pop("column")
    return {**{name: column[name] for name in ("task", "test_set", "metric")}, **values}
