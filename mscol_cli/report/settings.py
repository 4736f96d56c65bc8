"""Settings of runs side by side, and the provenance of their stores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from mscol_cli.errors import MscolError
from mscol_cli.pages.page import Block, Listing, Section, Table, Text
from mscol_cli.runs.settings import software_of
from mscol_cli.runs.tracks import CHOSEN_TRACKS
from mscol_cli.runs.trained import FoundRun
from mscol_cli.store.contents import ManifestLine, StoreInfo, info, manifest
from mscol_cli.system.units import format_bytes, format_duration

ABSENT = "-"
SHORT_HASH = 12
SHOWN = 14
"""Settings that all runs share before the rest is folded away."""
LISTED = 20


def settings_section(runs: Sequence[FoundRun]) -> Section:
    """What differs between the runs first, then what they share; software apart."""
    settings = _tables(runs, "Settings", "setting", [dict(_settings(run)) for run in runs])
    software = _tables(runs, "Software", "version", [dict(_software(run)) for run in runs])
    return Section("Settings", [*settings, *software])


def _tables(
    runs: Sequence[FoundRun], what: str, one: str, columns: Sequence[Mapping[str, str]]
) -> Iterator[Block]:
    names = list(dict.fromkeys(name for column in columns for name in column))
    rows = [(name, *(column.get(name, ABSENT) for column in columns)) for name in names]
    shared = [row[:2] for row in rows if len(set(row[1:])) == 1]
    different = [row for row in rows if len(set(row[1:])) > 1]
    if different:
        header = (one, *(run.title for run in runs))
        yield Table(f"{what} in which the runs differ", header, different, numbers=False)
    elif len(runs) > 1:
        yield Text(f"The runs differ in no {one}.")
    if shared:
        whose = f"of {runs[0].title}" if len(runs) == 1 else "that all these runs share"
        yield Table(f"{what} {whose}", (one, "value"), shared, numbers=False, shown=SHOWN)


def _settings(run: FoundRun) -> Iterator[tuple[str, str]]:
    info, training = run.info, run.training
    yield "objective", str(info.get("objective", {}).get("name", ABSENT))
    yield "encoder", str(info["encoder"]["name"])
    yield "updates done", f"{run.step:,}" if run.step is not None else "0"
    for name, value in training.items():
        yield name.replace("_", " "), format_value(value)
    yield "train split", format_value(info.get("train_split"))
    yield "recipe", format_value(info.get("recipe"))
    for part in [*info.get("objective", {}).get("parts", []), info["encoder"]]:
        yield from _part(part)
    store = run.store or {}
    yield "store", str(store.get("path", ABSENT))
    yield "store hash", str(store.get("hash", ABSENT))[:SHORT_HASH]


def _software(run: FoundRun) -> Iterator[tuple[str, str]]:
    for name, value in software_of(run.info).items():
        yield name, format_value(value)


def _part(part: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    name = part["name"]
    for option, value in part.get("options", {}).items():
        yield f"{name}: {option.replace('_', ' ')}", format_value(value)


def format_value(value: Any) -> str:
    """A setting as it is read."""
    if value is None or value == "":
        return ABSENT
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "(none named)"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value)


def provenance_section(runs: Sequence[FoundRun]) -> Section:
    """A table for each store that runs were trained on, as far as it is at hand."""
    stores: dict[tuple[str, str], list[FoundRun]] = {}
    for run in runs:
        if run.store is not None:
            stores.setdefault((run.store["path"], run.store["hash"]), []).append(run)
    blocks = [block for key, using in stores.items() for block in _store(*key, using)]
    return Section("Data", blocks)


def _store(path: str, store_hash: str, runs: Sequence[FoundRun]) -> Iterator[Block]:
    used = ", ".join(run.label for run in runs)
    try:
        found, lines = info(Path(path)), manifest(Path(path))
    except MscolError as error:
        yield Text(f"Of the store of {used} only the hash is known, {store_hash}: {error}")
        return
    if found.hash != store_hash:
        yield Text(f"{path} is no longer what {used} was trained on: its hash has changed.")
    rows = [*_facts(found, lines), *_chosen(runs)]
    yield Table(f"{path}, the music of {used}", ("what", "value"), rows, numbers=False)
    bad = [line for line in lines if line.status != "done"]
    if bad:
        more = [f"and {len(bad) - LISTED} more"] if len(bad) > LISTED else []
        named = [f"{line.input}: {line.status}, {line.reason}" for line in bad[:LISTED]]
        yield Listing("Inputs that failed or are short", [*named, *more])


def _facts(found: StoreInfo, lines: Sequence[ManifestLine]) -> Iterator[tuple[str, str]]:
    separator = found.separator
    yield "tracks", f"{found.tracks:,}"
    yield "music", format_duration(3600 * found.hours)
    yield "segments", f"{found.segments:,}"
    yield "size", format_bytes(found.bytes)
    yield "separator", f"{separator.name}, by {separator.owner} {separator.version}".strip()
    for name, value in {**separator.options, **separator.passport}.items():
        yield f"separator: {name}", format_value(value)
    for name, share in (found.active or {}).items():
        yield f"segments in which {name} sounds", f"{share:.1%}"
    yield "inputs that failed", f"{found.failures or 0:,}"
    yield "inputs that end early", f"{sum(line.status == 'short' for line in lines):,}"
    yield "store hash", str(found.hash)
    yield "hash of the input files' SHA-256", _inputs_hash(lines)


def _inputs_hash(lines: Sequence[ManifestLine]) -> str:
    """One hash over the hashes of all files that were used: equal music, equal hash."""
    hashes = sorted(line.sha256 for line in lines if line.sha256 and line.status != "failed")
    return sha256("\n".join(hashes).encode()).hexdigest()


def _chosen(runs: Sequence[FoundRun]) -> Iterator[tuple[str, str]]:
    for run in runs:
        path = run.folder / CHOSEN_TRACKS
        if path.exists():
            count = len(path.read_text(encoding="utf-8").splitlines())
            split = run.info.get("train_split")
            yield f"tracks that {run.label} heard", f"{count:,} (train split {split})"
