"""The table of bench/README.md is the one that bench/table.py writes from the results."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import table
from bench.table import Row


def test_the_tables_of_the_readme_are_written_from_the_results() -> None:
    text = table.README.read_text(encoding="utf-8")
    assert text == table.with_tables(text)


def test_a_row_replaces_the_one_on_the_same_subject(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(table, "README", tmp_path / "README.md")
    end = "<!-- end of table -->"
    table.README.write_text(f"Head\n<!-- table: all -->{end}\n<!-- table: b -->{end}\nTail\n")
    for speed, ratio in (("1", 2.0), ("3", 4.0)):
        row = Row(f"a: {speed}/s", "b: 1/s", ratio, "2026-11-29", "a CPU", "bench/a.py")
        table.report("a", [row], write=True)
    table.report("b", [Row("c: 5 s", "", None, "2026-11-29", "a CPU", "bench/b.py")], write=True)
    assert len(json.loads((tmp_path / "results" / "a.json").read_text())) == 1
    top, own = table.README.read_text().split("<!-- table: b -->")
    assert "| a: 3/s | b: 1/s | 4.00 | 2026-11-29 | a CPU |" in top
    assert "c: 5 s" not in top
    assert "| c: 5 s |  | - | 2026-11-29 | a CPU |" in own
    assert top.startswith("Head\n")
    assert own.endswith("\nTail\n")
