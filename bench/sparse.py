"""Opening and training on stores that are larger than the memory and the disk.

    python bench/sparse.py FOLDER --tracks 2600 100000 --write

Makes sealed stores of tracks of four minutes with four sources in FOLDER, whose shards are sparse
files: every sample is 0 and takes no space, all metadata are complete. 2,600 tracks are 100 GB.
`store info` and `pretrain` with MSA then run on each as a user's commands. Their times are CPU
seconds in one thread. The rows also tell how much of the shards was read, as the kernel's cache
holds it after pre-training (Linux). A store that exists is used again.
"""

from __future__ import annotations

import argparse
import ctypes
import mmap
import os
import shutil
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench.table import Row, add_write, measured, report
from bench.timing import run_mscol
from mscol_cli.store.header import (
    FAILURES,
    HEADER,
    LEVELS,
    TRACKS,
    SeparatorIdentity,
    StoreHeader,
    shard_name,
)
from mscol_cli.store.records import FileStamp, SourceRecord, TrackRecord
from mscol_cli.store.segments import SAMPLE_RATE, segment_count
from mscol_cli.system.files import file_hash

SOURCES = ("mixture", "bass", "drums", "vocals", "other")
SAMPLES = 240 * SAMPLE_RATE
SEGMENTS = segment_count(SAMPLES)
UNIT = 64  # tracks of one shard
UPDATES, BATCH = 20, 128
UNKNOWN = sha256(b"").hexdigest()
"""Checksum in place of that of a shard: only `store verify` compares it."""


def make_store(folder: Path, tracks: int) -> None:
    """Write a sealed store of silent tracks whose levels say that they sound."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / TRACKS).open("w", encoding="utf-8") as lines:
        lines.writelines(_record(number).to_line() for number in range(tracks))
    (folder / FAILURES).touch()
    shape = (tracks * SEGMENTS, len(SOURCES), 2)
    levels = npy.open_memmap(folder / LEVELS, mode="w+", dtype=np.float32, shape=shape)
    levels[:] = 0.1
    levels.flush()
    shards = [_make_shard(folder, first, tracks) for first in range(0, tracks, UNIT)]
    StoreHeader(
        SOURCES,
        SeparatorIdentity("sparse"),
        sealed=True,
        tracks=tracks,
        segments=shape[0],
        hours=tracks * SAMPLES / SAMPLE_RATE / 3600,
        checksums={
            **dict.fromkeys(shards, UNKNOWN),
            **{name: file_hash(folder / name) for name in (TRACKS, LEVELS, FAILURES)},
        },
        inputs=tracks,
    ).write(folder)


def _record(number: int) -> TrackRecord:
    place = number % UNIT * len(SOURCES) * SAMPLES
    digest = sha256(str(number).encode()).hexdigest()
    stamp = FileStamp(f"{number:07}.mp3", 5_000_000 + number, 1_700_000_000 * 10**9, digest)
    return TrackRecord(
        id=f"{number % 1000:03}/{number:07}",
        files={"mixture": stamp},
        shard=number // UNIT,
        samples=SAMPLES,
        segments=SEGMENTS,
        level_row=number * SEGMENTS,
        sources={
            name: SourceRecord(place + SAMPLES * row, 1 / 32767 / (1 + number % 7), 100.0 + row)
            for row, name in enumerate(SOURCES)
        },
    )


def _make_shard(folder: Path, first: int, tracks: int) -> str:
    name = shard_name(first // UNIT)
    samples = min(UNIT, tracks - first) * len(SOURCES) * SAMPLES
    (folder / name).parent.mkdir(exist_ok=True)
    with (folder / name).open("wb") as file:
        header = {"descr": "<i2", "fortran_order": False, "shape": (samples,)}
        npy.write_array_header_1_0(file, header)
        file.truncate(file.tell() + 2 * samples)
    return name


def cached_bytes(folder: Path) -> int:
    """Bytes of the shards in the kernel's cache."""
    libc = ctypes.CDLL(None, use_errno=True)
    return sum(_resident(path, libc) for path in _shards(folder)) * mmap.PAGESIZE


def _resident(path: Path, libc: ctypes.CDLL) -> int:
    size = path.stat().st_size
    pages = np.zeros(-(-size // mmap.PAGESIZE), np.uint8)
    with path.open("rb") as file:
        view = np.frombuffer(mmap.mmap(file.fileno(), size, prot=mmap.PROT_READ), np.uint8)
    start = ctypes.c_void_p(view.ctypes.data)
    if libc.mincore(start, ctypes.c_size_t(size), ctypes.c_void_p(pages.ctypes.data)):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return int((pages & 1).sum())


def forget(folder: Path) -> None:
    """Remove the shards from the kernel's cache."""
    for path in _shards(folder):
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _shards(folder: Path) -> Iterator[Path]:
    return (folder / shard_name(0)).parent.iterdir()


def rows(folder: Path, tracks: int) -> list[Row]:
    """Measure the commands on a store."""
    store, run, log = folder / f"{tracks}.store", folder / f"{tracks}-run", folder / "log.txt"
    if not (store / HEADER).exists():
        make_store(store, tracks)
    size = sum(path.stat().st_size for path in _shards(store))
    metadata = sum((store / name).stat().st_size for name in (TRACKS, LEVELS))
    about = f"sparse store of {tracks:,} tracks"
    whole = f"store: {size / 1e9:,.0f} GB of samples, {metadata / 1e6:,.0f} MB of metadata"
    shutil.rmtree(run, ignore_errors=True)
    forget(store)
    pretrain = ("pretrain", store, "--objective", "msa", "--encoder", "small", "-o", run)
    settings = ("--steps", UPDATES, "--batch-size", BATCH, "--device", "cpu")
    found = []
    for name, command in (
        ("store info", ("store", "info", store)),
        (f"pretrain, {UPDATES} updates", (*pretrain, *settings)),
    ):
        used = run_mscol(command, log=log)
        if used.code:
            raise SystemExit(f"{name} failed:\n{log.read_text()[-2000:]}")
        read = f", {cached_bytes(store) / 1e9:.2f} GB read" if name != "store info" else ""
        what = f"{about}, {name}: {used.seconds:.1f} CPU s, {used.memory:,.0f} MB{read}"
        found.append(measured(what, whole, None, "bench/sparse.py FOLDER"))
    return found


def main() -> None:
    """Measure stores of every size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="stores and runs; stores are kept")
    parser.add_argument("--tracks", type=int, nargs="+", default=[2600])
    add_write(parser, "sparse")
    options = parser.parse_args()
    found = [row for tracks in options.tracks for row in rows(options.folder, tracks)]
    report("sparse", found, write=options.write)


if __name__ == "__main__":
    main()
