"""Many models on many tasks: one table of scores, and one of their differences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mscol_cli.pages.page import Block, Listing, Page, Section, Table, Text, rows_by_name
from mscol_cli.probe.notes import Note
from mscol_cli.probe.published import Published, published_rows, published_scores, sources_line
from mscol_cli.probe.result import Score


@dataclass(frozen=True)
class Column:
    """One metric on one test set.

    Attributes:
        task: Name of the task.
        test_set: Name of the test set.
        metric: Name of the metric.
        clips: How many test clips were scored, the same for every model; 0 when it differs.
        headline: Whether the printed table has it; JSON has all.
        baselines: By name, the score of a classifier that does not listen.
    """

    task: str
    test_set: str
    metric: str
    clips: int
    headline: bool
    baselines: Mapping[str, float] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells columns apart."""
        return self.task, self.test_set, self.metric

    @property
    def title(self) -> str:
        """The name of the column, with the test set where that is not simply `test`."""
        test_set = "" if self.test_set == "test" else f" {self.test_set}"
        size = f" ({self.clips:,} clips)" if self.clips else ""
        return f"{self.task}{test_set} {self.metric}{size}"


@dataclass(frozen=True)
class Row:
    """One model's results.

    Attributes:
        model: What the table calls it.
        model_hash: Of its weights.
        model_step: Updates it was trained for.
        results: By task, the folder of the result.
        scores: By column.
    """

    model: str
    model_hash: str
    model_step: int
    results: Mapping[str, str]
    scores: Mapping[tuple[str, str, str], Score]


@dataclass(frozen=True)
class Comparison:
    """The difference of two models in one column, on the same test clips.

    Attributes:
        column: Of the scores.
        first: Name of a model.
        second: Name of the one that it is compared with.
        clips: On how many test clips, those that both were scored on.
        difference: Score of the first minus score of the second.
        low: Lower bound of the 95 % interval of the difference.
        high: Its upper bound.
        p: Two-sided p-value of the paired bootstrap.
        p_holm: Corrected for the number of pairs in this column.
    """

    column: Column
    first: str
    second: str
    clips: int
    difference: float
    low: float
    high: float
    p: float
    p_holm: float


@dataclass(frozen=True)
class JointTable:
    """What a table of many probes holds.

    Attributes:
        columns: Tasks, test sets and metrics.
        rows: Models, in the order in which they were given.
        comparisons: Every pair of models in every column.
        failures: What could not be probed or compared, and why.
        notes: What qualifies the scores, as the single results say it.
        folder: Where its files are.
    """

    columns: Sequence[Column]
    rows: Sequence[Row]
    comparisons: Sequence[Comparison] = ()
    failures: Sequence[tuple[str, str]] = field(default=())
    notes: Sequence[Note] = ()
    folder: Path = Path()

    @property
    def json_path(self) -> Path:
        """The file that holds it."""
        return self.folder / "probes.json"

    @property
    def markdown_path(self) -> Path:
        """Its page."""
        return self.folder / "probes.md"


def joint_dict(table: JointTable) -> dict[str, Any]:
    """Everything, in types that JSON has; scores are in the order of the columns."""
    return {
        "columns": [asdict(column) for column in table.columns],
        "rows": [_row_dict(row, table.columns) for row in table.rows],
        "published": [
            asdict(one) for column in table.columns for one in _published(column).values()
        ],
        "comparisons": [_comparison_dict(one) for one in table.comparisons],
        "notes": [asdict(note) for note in table.notes],
        "failures": [list(failure) for failure in table.failures],
    }


def joint_page(table: JointTable) -> Page:
    """Scores, differences, and what is missing from them."""
    columns = [column for column in table.columns if column.headline]
    compared = [one for one in table.comparisons if one.column.headline]
    failures = [f"{name}: {reason}" for name, reason in table.failures]
    blocks: list[Block] = [
        _score_table(table, columns),
        Text(_legend(columns)),
        *_comparison_table(compared),
        *([Listing("Notes", _note_lines(table))] if table.notes else []),
        *([Listing("Not done", failures)] if failures else []),
    ]
    return Page("Probes", "", [Section("", blocks)])


def _published(column: Column) -> dict[str, Published]:
    return published_scores(*column.key[:2], column.clips, column.metric)


def _score_table(table: JointTable, columns: Sequence[Column]) -> Table:
    header = ("model", *(column.title for column in columns))
    ours = [
        (row.model, *(_score(row.scores.get(one.key)) for one in columns)) for row in table.rows
    ]
    baselines = rows_by_name([one.baselines for one in columns], ".4f", "")
    return Table(
        "", header, [*ours, *baselines, *published_rows(list(map(_published, columns)), "")]
    )


def _score(score: Score | None) -> str:
    if score is None:
        return "-"
    spread = f" ± {score.std_over_seeds:.4f}" if len(score.per_seed) > 1 else ""
    return f"{score.value:.4f}{spread} [{score.low:.4f}, {score.high:.4f}]"


def _legend(columns: Sequence[Column]) -> str:
    legend = (
        "Mean over seeds ± standard deviation over seeds, in brackets the 95 % bootstrap interval"
        " over test clips."
    )
    return f"{legend} {sources_line(map(_published, columns))}".rstrip()


def _comparison_table(compared: Sequence[Comparison]) -> Iterator[Table]:
    if not compared:
        return
    many = any(one.p != one.p_holm for one in compared)
    header = ["score", "models", "difference", "95 % interval", "p", *(["p, Holm"] if many else [])]
    rows = [
        (
            one.column.title,
            f"{one.first} minus {one.second}",
            f"{one.difference:+.4f}",
            f"{one.low:+.4f} to {one.high:+.4f}",
            f"{one.p:.3f}",
            *([f"{one.p_holm:.3f}"] if many else []),
        )
        for one in compared
    ]
    yield Table("Differences, on the same test clips:", header, rows)


def _note_lines(table: JointTable) -> list[str]:
    """A note that holds for every model of the task names the task alone."""
    return [f"{_about(note, table.rows)}: {note.note}" for note in table.notes]


def _about(note: Note, rows: Sequence[Row]) -> str:
    probed = [row.model for row in rows if note.task in row.results]
    models = [] if set(note.models) == set(probed) and len(rows) > 1 else note.models
    return ", ".join([note.task, *models])


def _row_dict(row: Row, columns: Sequence[Column]) -> dict[str, Any]:
    scores = [row.scores.get(column.key) for column in columns]
    return {
        "model": row.model,
        "model_hash": row.model_hash,
        "model_step": row.model_step,
        "results": dict(row.results),
        "scores": [asdict(score) if score else None for score in scores],
    }


def _comparison_dict(one: Comparison) -> dict[str, Any]:
    values = asdict(one)
    column = values.pop("column")
    return {**{name: column[name] for name in ("task", "test_set", "metric")}, **values}
