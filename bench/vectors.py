"""Time and memory of folders of vectors.

    python bench/vectors.py export [--clips 100000] [--dim 1280]  # all formats, synthetic vectors
    python bench/vectors.py embed [--clips 5000]                  # short files, an interruption
    python bench/vectors.py probe [--clips 305979] [--dim 256]    # NSynth's size, all cached

With `--write` rows are written. Each measured command is a process of its own in one thread, whose
CPU time and peak memory the system reports. `embed` runs the same command uninterrupted, and
interrupted by Ctrl-C at half of the files and resumed, and compares the vectors bit by bit. `probe`
has the layout of NSynth with empty files, and a cache of random vectors, four for a note of 4 s,
256 (`small`) or 1280 dimensions (`efficientnet_b0`). Arguments that it does not know are options of
`mscol probe`. Everything is made in a temporary folder.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import soundfile
import torch

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench.table import Row, add_write, measured, report
from bench.timing import Usage, run_mscol
from mscol_cli.cache.folder import vectors_folder
from mscol_cli.engine.models import resolve_model
from mscol_cli.engine.vector_header import vector_header
from mscol_cli.host import load_registry
from mscol_cli.system.files import used_bytes
from mscol_cli.vectors import FileVersion, VectorFolder, VectorHeader, VectorWriter
from mscol_cli.vectors.export import SUFFIXES

SECONDS, RATE = 1.2, 16_000
Run = Callable[[Sequence[object]], Usage]


def row(
    what: str, usage: Usage, command: str, against: str = "", ratio: float | None = None
) -> Row:
    """A row with what a command used."""
    used = f"{usage.seconds:.1f} CPU s, {usage.memory:,.0f} MB"
    return measured(f"{what}: {used}", against, ratio, f"bench/vectors.py {command}")


def fill(path: Path, clips: int, dim: int) -> None:
    """A folder of random vectors, one per clip."""
    header = VectorHeader("random@0", "0" * 64, "random", RATE, RATE, RATE, "rms", dim, "mean")
    rng = np.random.default_rng(0)
    with VectorWriter(VectorFolder(path, header)) as writer:
        for row in range(clips):
            name = f"{row // 1000:03}/{row:06} - a name of usual length.mp3"
            vector = rng.standard_normal((1, dim), np.float32)
            version = FileVersion(f"/music/{name}", row, row)
            writer.add(name, version, vector, windows=30, sha256=f"{row:064x}")
            writer.flush(only_if_due=True)


def export(folder: Path, clips: int, dim: int) -> list[Row]:
    """Time and memory of each format."""
    fill(folder / "v", clips, dim)
    what = f"vectors, {clips:,} of {dim} dimensions"
    size = f"folder: {used_bytes(folder / 'v') / 1e6:,.0f} MB"
    rows = []
    for suffix in SUFFIXES:
        output = folder / f"out{suffix}"
        usage = run_mscol(["vectors", "export", folder / "v", "-o", output])
        written = f"file: {output.stat().st_size / 1e6:,.0f} MB"
        rows.append(row(f"{what}, export to {suffix}", usage, "export", written))
        output.unlink()
    usage = run_mscol(["vectors", "verify", folder / "v"])
    return [*rows, row(f"{what}, verify", usage, "export", size)]


def write_music(folder: Path, clips: int) -> None:
    """Short files of noise."""
    rng = np.random.default_rng(0)
    for row in range(clips):
        path = folder / f"{row // 100:03}" / f"{row:06}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, 0.1 * rng.standard_normal(int(SECONDS * RATE)), RATE)


def done(path: Path) -> int:
    """Number of lines of the indexes."""
    return sum(index.read_bytes().count(b"\n") for index in path.glob("*.jsonl"))


def embed(folder: Path, clips: int) -> list[Row]:
    """Time and memory of embedding, with and without an interruption."""
    write_music(folder / "music", clips)
    command = ["embed", folder / "music", "--model", "untrained", "--encoder", "small"]
    command += ["--device", "cpu", "-o"]
    whole, resumed = folder / "whole", folder / "resumed"

    def interrupt(process: subprocess.Popen[bytes]) -> None:
        while done(resumed) < clips / 2:
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)

    rows, complete = [], run_mscol([*command, whole])
    for name, watch in (
        ("interrupted at half", interrupt),
        ("the same command again", None),
        ("once more, nothing to do", None),
    ):
        usage = run_mscol([*command, resumed], watch=watch)
        against = f"uninterrupted: {complete.seconds:.1f} CPU s, {complete.memory:,.0f} MB"
        what = f"embed, {clips:,} files of {SECONDS} s, {name}"
        rows.append(row(what, usage, "embed", against, complete.seconds / usage.seconds))
    first, second = VectorFolder.open(whole), VectorFolder.open(resumed)
    if not np.array_equal(first.matrix(), second.matrix()):
        raise SystemExit("the vectors of the resumed command differ")
    return rows


def write_notes(folder: Path, notes: int) -> list[Path]:
    """NSynth's layout with its shares of the splits and empty files, in a random order."""
    rng = np.random.default_rng(0)
    paths = []
    for split, share in (("train", 289_205), ("valid", 12_678), ("test", 4_096)):
        audio = folder / f"nsynth-{split}" / "audio"
        audio.mkdir(parents=True)
        count = round(notes * share / 305_979)
        names = {f"{split}_{row:06}": {"instrument_family": row % 11} for row in range(count)}
        for name in names:
            (audio / f"{name}.wav").touch()
            paths.append(audio / f"{name}.wav")
        (audio.parent / "examples.json").write_text(json.dumps(names))
    return [paths[row] for row in rng.permutation(len(paths))]


def probe(
    folder: Path, notes: int, dim: int, options: Sequence[str], run: Run = run_mscol
) -> list[Row]:
    """Time and memory of a probe whose vectors are all cached; `run` runs the command."""
    encoder = {256: "small", 1280: "efficientnet_b0"}[dim]
    os.environ["MSCOL_CACHE"] = str(folder / "cache")
    model = resolve_model("untrained", encoder, load_registry(), torch.device("cpu"))
    centres = np.random.default_rng(0).standard_normal((11, dim), np.float32)
    header = vector_header(model)
    path = vectors_folder() / header.key
    rng = np.random.default_rng(1)
    with VectorWriter(VectorFolder(path, header)) as writer:
        for audio in write_notes(folder / "nsynth", notes):
            version = FileVersion.of(audio)
            assert version is not None
            vectors = (
                8 * rng.standard_normal((4, dim), np.float32) + centres[int(audio.stem[-6:]) % 11]
            )
            writer.add(version.path, version, vectors)
            writer.flush(only_if_due=True)
    command = ["probe", "nsynth", "--data", folder / "nsynth", "--model", "untrained"]
    command += ["--encoder", encoder, "--device", "cpu", "-o", folder / "out", *options]
    size = f"cache: {used_bytes(path) / 1e6:,.0f} MB"
    what = f"probe, {notes:,} notes of {dim} dimensions in the cache"
    usage = run(command)
    if usage.code != 0:
        raise SystemExit(f"mscol probe ended with exit code {usage.code}")
    return [row(what, usage, " ".join(["probe", f"--dim {dim}", *options]), size)]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=["export", "embed", "probe"])
    parser.add_argument("--clips", type=int)
    parser.add_argument("--dim", type=int, default=1280)
    parser.add_argument("--folder", type=Path, help="parent of the temporary folder")
    add_write(parser, "vectors")
    chosen, options = parser.parse_known_args()
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        if chosen.what == "export":
            rows = export(Path(folder), chosen.clips or 100_000, chosen.dim)
        elif chosen.what == "probe":
            rows = probe(Path(folder), chosen.clips or 305_979, chosen.dim, options)
        else:
            rows = embed(Path(folder), chosen.clips or 5000)
    report("vectors", rows, write=chosen.write)


if __name__ == "__main__":
    main()
