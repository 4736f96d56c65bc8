"""The table of bench/README.md, written from bench/results/*.json.

    python bench/table.py          # after a script was run with --write

Every script writes the rows of its own file, bench/results/NAME.json, with `--write`.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
README = Path(__file__).parent / "README.md"
BEGIN, END = "<!-- table: python bench/table.py -->", "<!-- end of table -->"
HEAD = ("what", "against", "ratio", "date", "machine")


@dataclass(frozen=True)
class Row:
    """A row of the table.

    Attributes:
        what: What was measured, with its speed.
        against: What it was compared with, with its speed.
        ratio: How many times as fast the first is.
        date: Day of the measurement, ISO.
        machine: Processor, threads and software.
        command: Command line that measures the row.
    """

    what: str
    against: str
    ratio: float
    date: str
    machine: str
    command: str


def write_rows(name: str, rows: Sequence[Row]) -> None:
    """Write the rows of a script, and the table. Rows with other `what` and `against` are kept."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    before = _read(path) if path.exists() else []
    new = {_key(row) for row in rows}
    kept = [*(row for row in before if _key(row) not in new), *rows]
    path.write_text(json.dumps([asdict(row) for row in kept], indent=2) + "\n", encoding="utf-8")
    README.write_text(with_table(README.read_text(encoding="utf-8")), encoding="utf-8")


def with_table(text: str) -> str:
    """The text of the README with the current table."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}"


def table() -> str:
    """The table as Markdown."""
    rows = [row for path in sorted(RESULTS.glob("*.json")) for row in _read(path)]
    lines = [HEAD, tuple("---" for _ in HEAD)]
    lines += [(row.what, row.against, f"{row.ratio:.2f}", row.date, row.machine) for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def today() -> str:
    """Date of a measurement."""
    return date.today().isoformat()


def machine(threads: int) -> str:
    """Processor, threads and torch."""
    import torch

    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    name = names[0] if names else platform.processor()
    count = f"{threads} thread" + "s" * (threads != 1)
    return f"{name}, {count} of {os.cpu_count()}, torch {torch.__version__.partition('+')[0]}"


def _key(row: Row) -> tuple[str, str]:
    """What a row is about, without its speeds."""
    return row.what.partition(":")[0], row.against.partition(":")[0]


def _read(path: Path) -> list[Row]:
    return [Row(**row) for row in json.loads(path.read_text(encoding="utf-8"))]


def main() -> None:
    """Write the table of the README."""
    README.write_text(with_table(README.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
