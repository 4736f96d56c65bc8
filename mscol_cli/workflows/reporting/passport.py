"""What runs were trained on: tracks, hours, sources, bad files, hashes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path

from mscol_cli.errors import MscolError
from mscol_cli.reports.page import Block, Listing, Section, Table, Text
from mscol_cli.units import format_bytes, format_duration
from mscol_cli.workflows.reporting.runs import FoundRun
from mscol_cli.workflows.reporting.settings import shown
from mscol_cli.workflows.store_contents import ManifestLine, StoreInfo, info, manifest
from mscol_cli.workflows.train_split import TRACKS

LISTED = 20


def passport_section(runs: Sequence[FoundRun]) -> Section:
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
        yield f"separator: {name}", shown(value)
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
        path = run.folder / TRACKS
        if path.exists():
            count = len(path.read_text(encoding="utf-8").splitlines())
            split = run.info.get("train_split")
            yield f"tracks that {run.label} heard", f"{count:,} (train split {split})"
