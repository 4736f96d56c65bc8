"""The tables of bench/README.md, written from bench/results/*.json.

    python bench/table.py          # after a script was run with --write

Every script writes the rows of its own file, bench/results/NAME.json, with `--write`. The table on
top has the rows of all files but those that have a table of their own, further down.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
README = Path(__file__).parent / "README.md"
TABLE = re.compile(r"<!-- table: (\S+) -->.*?<!-- end of table -->", re.DOTALL)
TOP = "all"
HEAD = ("what", "against", "ratio", "date", "machine")


@dataclass(frozen=True)
class Row:
    """A row of the table.

    Attributes:
        what: What was measured, with its speed.
        against: What it was compared with, with its speed.
        ratio: How many times as fast the first is; None without a comparison.
        date: Day of the measurement, ISO.
        machine: Processor, threads and software.
        command: Command line that measures the row.
    """

    what: str
    against: str
    ratio: float | None
    date: str
    machine: str
    command: str


def measured(what: str, against: str, ratio: float | None, command: str, threads: int = 1) -> Row:
    """A row measured today on this machine."""
    rounded = None if ratio is None else round(ratio, 2)
    return Row(what, against, rounded, date.today().isoformat(), machine(threads), command)


def add_write(parser: argparse.ArgumentParser, name: str) -> None:
    """Add the option `--write`, for `report`."""
    parser.add_argument("--write", action="store_true", help=f"write bench/results/{name}.json")


def report(name: str, rows: Sequence[Row], *, write: bool) -> None:
    """Print rows. With `write`, write them and the tables; rows on other subjects are kept."""
    for row in rows:
        print(f"{row.what} | {row.against} | {_ratio(row)}", flush=True)
    if not write:
        return
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    before = _read(path) if path.exists() else []
    new = {_key(row) for row in rows}
    kept = [*(row for row in before if _key(row) not in new), *rows]
    path.write_text(json.dumps([asdict(row) for row in kept], indent=2) + "\n", encoding="utf-8")
    main()


def with_tables(text: str) -> str:
    """The text of the README with current tables."""
    own = {match[1] for match in TABLE.finditer(text)}
    paths = sorted(RESULTS.glob("*.json"))

    def replace(match: re.Match[str]) -> str:
        name = match[1]
        chosen = (path for path in paths if path.stem == name or name == TOP)
        rows = [
            row for path in chosen if name != TOP or path.stem not in own for row in _read(path)
        ]
        return f"<!-- table: {name} -->\n\n{_table(rows)}\n\n<!-- end of table -->"

    return TABLE.sub(replace, text)


def write_between(path: Path, name: str, text: str) -> None:
    """Replace the text of a file between the markers of a name."""
    markers = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, begin, rest = path.read_text(encoding="utf-8").partition(markers[0])
    _, end, after = rest.partition(markers[1])
    if not begin or not end:
        raise SystemExit(f"{path} has no lines {markers[0]} and {markers[1]}.")
    path.write_text(f"{before}{begin}\n{text.strip()}\n{end}{after}", encoding="utf-8")


def _table(rows: Iterable[Row]) -> str:
    lines = [HEAD, tuple("---" for _ in HEAD)]
    lines += [(row.what, row.against, _ratio(row), row.date, row.machine) for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _ratio(row: Row) -> str:
    return "-" if row.ratio is None else f"{row.ratio:.2f}"


def machine(threads: int) -> str:
    """Processor, threads and torch."""
    import torch

    count = f"{threads} thread" + "s" * (threads != 1)
    version = torch.__version__.partition("+")[0]
    return f"{processor()}, {count} of {os.cpu_count()}, torch {version}"


def processor() -> str:
    """Name of the processor."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _key(row: Row) -> tuple[str, str]:
    """What a row is about, without its speeds."""
    return row.what.partition(":")[0], row.against.partition(":")[0]


def _read(path: Path) -> list[Row]:
    return [Row(**row) for row in json.loads(path.read_text(encoding="utf-8"))]


def main() -> None:
    """Write the tables of the README."""
    README.write_text(with_tables(README.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
