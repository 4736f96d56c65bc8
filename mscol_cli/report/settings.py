"""Sections with the settings of runs and the provenance of their stores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from mscol_cli.errors import MscolError
from mscol_cli.pages.page import Block, Listing, Section, Table, Text, rows_by_name
from mscol_cli.report.material import FoundRun
from mscol_cli.runs.settings import flat_settings, software_of
from mscol_cli.runs.tracks import count_chosen
from mscol_cli.store.contents import ManifestLine, StoreInfo, info, manifest
from mscol_cli.system.units import format_bytes, format_duration

ABSENT = "-"
SHOWN = 14
"""Rows of a table of shared settings that are not folded."""
LISTED = 20


def settings_section(runs: Sequence[FoundRun]) -> Section:
    """Create a section with the settings and the software of runs, differences first."""
    settings = [{**flat_settings(run.info), "steps done": run.saved_step or 0} for run in runs]
    software = [software_of(run.info) for run in runs]
    tables = (
        *_tables(runs, "Settings", "setting", settings),
        *_tables(runs, "Software", "version", software),
    )
    return Section("Settings", tables)


def _tables(
    runs: Sequence[FoundRun], title: str, name: str, values: Sequence[Mapping[str, Any]]
) -> Iterator[Block]:
    columns = [{key: format_value(value) for key, value in run.items()} for run in values]
    rows = rows_by_name(columns, "", ABSENT)
    shared = [row[:2] for row in rows if len(set(row[1:])) == 1]
    different = [row for row in rows if len(set(row[1:])) > 1]
    if different:
        header = (name, *(run.title for run in runs))
        yield Table(f"{title} in which the runs differ", header, different, numbers=False)
    elif len(runs) > 1:
        yield Text(f"The runs differ in no {name}.")
    if shared:
        whose = f"of {runs[0].title}" if len(runs) == 1 else "that all these runs share"
        yield Table(f"{title} {whose}", (name, "value"), shared, numbers=False, shown=SHOWN)


def format_value(value: Any) -> str:
    """Format a setting; `-` if it has no value."""
    if value is None or value == "":
        return ABSENT
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "(none)"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value)


def provenance_section(runs: Sequence[FoundRun]) -> Section:
    """Create a section with a table for each store that runs were trained on."""
    stores: dict[tuple[str, str], list[FoundRun]] = {}
    for run in runs:
        if run.store is not None:
            stores.setdefault((run.store["path"], run.store["hash"]), []).append(run)
    blocks = [block for key, using in stores.items() for block in _store(*key, using)]
    return Section("Data", blocks)


def _store(path: str, store_hash: str, runs: Sequence[FoundRun]) -> Iterator[Block]:
    used = ", ".join(run.label for run in runs)
    try:
        store_info, lines = info(Path(path)), manifest(Path(path))
    except MscolError as error:
        yield Text(f"For the store of {used}, only the hash is known, {store_hash}: {error}")
        return
    if store_info.hash != store_hash:
        yield Text(f"{path} has changed since {used} was trained on it: its hash differs.")
    rows = [*_facts(store_info, lines), *_chosen(runs)]
    yield Table(f"{path}, the music of {used}", ("property", "value"), rows, numbers=False)
    bad = [line for line in lines if line.status != "done"]
    if bad:
        more = [f"and {len(bad) - LISTED} more"] if len(bad) > LISTED else []
        inputs = [f"{line.input}: {line.status}, {line.reason}" for line in bad[:LISTED]]
        yield Listing("Inputs that failed or are short", [*inputs, *more])


def _facts(store_info: StoreInfo, lines: Sequence[ManifestLine]) -> Iterator[tuple[str, str]]:
    separator = store_info.separator
    yield "tracks", f"{store_info.tracks:,}"
    yield "music", format_duration(3600 * store_info.hours)
    yield "segments", f"{store_info.segments:,}"
    yield "size", format_bytes(store_info.bytes)
    yield "separator", f"{separator.name}, by {separator.owner} {separator.version}".strip()
    for name, value in {**separator.options, **separator.passport}.items():
        yield f"separator: {name}", format_value(value)
    for name, share in (store_info.active or {}).items():
        yield f"segments with {name}", f"{share:.1%}"
    yield "inputs that failed", f"{store_info.failures or 0:,}"
    yield "inputs that end early", f"{sum(line.status == 'short' for line in lines):,}"
    yield "store hash", str(store_info.hash)
    yield "hash of the input files' SHA-256", _inputs_hash(lines)


def _inputs_hash(lines: Sequence[ManifestLine]) -> str:
    """Hash over the hashes of all files that were used; equal for equal music."""
    hashes = sorted(line.sha256 for line in lines if line.sha256 and line.status != "failed")
    return sha256("\n".join(hashes).encode()).hexdigest()


def _chosen(runs: Sequence[FoundRun]) -> Iterator[tuple[str, str]]:
    for run in runs:
        if (count := count_chosen(run.folder)) is not None:
            split = run.info.get("train_split")
            yield f"tracks in the training of {run.label}", f"{count:,} (train split {split})"
