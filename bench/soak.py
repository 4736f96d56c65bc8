"""Memory, threads and open files of long-running processes.

    python bench/soak.py MUSIC FOLDER --minutes 60 --write

One process per kind of work repeats it until the time is over: `pretrain` trains one run with MSA
and a checkpoint every 200 updates, `separate` fills one new store after the other with the
Open-Unmix model `mini`, `embed` embeds all files. They run at the same time, in one thread each, on
twelve audio files of MUSIC and a damaged one.

Every five seconds memory (resident), threads and open files are read from /proc (Linux). Medians of
the second and of the last quarter of the time are compared. The exit code is 1 if threads grow,
open files grow by more than one (the file that is read at the moment), or memory by more than 2 %.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parent.parent))

import mscol
from bench.table import Row, add_write, measured, report
from mscol_cli.audio import find_audio

EVERY_S = 5.0
GROWTH = 0.02
FILES, STORE = "files", "music.store"


def separate(folder: Path, until: float) -> int:
    """Fill stores; returns how many."""
    rounds = 0
    while time.time() < until:
        shutil.rmtree(folder / "soak.store", ignore_errors=True)
        separated(folder, "soak.store")
        rounds += 1
    return rounds


def embed(folder: Path, until: float) -> int:
    """Embed all files; returns how often."""
    warnings.simplefilter("ignore", mscol.MscolWarning)
    model, rounds = mscol.load("mini", device="cpu"), 0
    paths = sorted((folder / FILES).iterdir())
    while time.time() < until:
        model.embed(paths, errors="nan")
        rounds += 1
    return rounds


def pretrain(folder: Path, until: float) -> int:
    """Train; returns the number of updates."""
    steps = 0

    def watch(update: mscol.ProgressUpdate) -> None:
        nonlocal steps
        steps = max(steps, update.done) if update.stage == "pretrain" else steps
        if time.time() > until:
            raise TimeoutError

    with suppress(TimeoutError):
        mscol.pretrain(
            folder / STORE,
            objective="msa",
            encoder="small",
            batch_size=16,
            steps=10_000_000,
            save_every=200,
            device="cpu",
            output=folder / "run",
            progress=watch,
        )
    return steps


WORK: Mapping[str, Callable[[Path, float], int]] = {
    "pretrain": pretrain,
    "separate": separate,
    "embed": embed,
}
UNITS = {"pretrain": "updates", "separate": "stores", "embed": "rounds of 13 files"}


def separated(folder: Path, name: str) -> None:
    """Make a store of the files."""
    mscol.separate(folder / FILES, folder / name, model="mini", device="cpu")


def prepare(music: Path, folder: Path) -> None:
    """Copy files and cut one of them, and make the store that is trained on."""
    chosen = [file.path for file in find_audio([music]).files][:12]
    (folder / FILES).mkdir(parents=True, exist_ok=True)
    for number, path in enumerate(chosen):
        shutil.copy(path, folder / FILES / f"{number:02}{path.suffix}")
    content = chosen[0].read_bytes()
    (folder / FILES / f"damaged{chosen[0].suffix}").write_bytes(content[: len(content) // 50])
    separated(folder, STORE)


@dataclass
class Samples:
    """Memory in MB, threads and open files of a process, at the times that they were read."""

    memory: list[float] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)
    files: list[int] = field(default_factory=list)

    def read(self, process: int) -> None:
        """Add the values of this moment, if the process exists."""
        place = Path("/proc") / str(process)
        try:
            lines = (place / "status").read_text(encoding="utf-8").splitlines()
            files = sum(1 for _ in (place / "fd").iterdir())
        except OSError:
            return
        status = dict(line.split(":", 1) for line in lines)
        if "VmRSS" in status:
            self.memory.append(int(status["VmRSS"].split()[0]) / 1e3)
            self.threads.append(int(status["Threads"]))
            self.files.append(files)


def quarters(values: Sequence[float]) -> tuple[float, float]:
    """Medians of the second and of the last quarter."""
    part = len(values) // 4
    return median(values[part : 2 * part]), median(values[-part:])


def watch(folder: Path, minutes: float) -> dict[str, tuple[int, Samples]]:
    """Run all kinds of work; returns rounds and samples of each."""
    until = time.time() + 60 * minutes
    variables = {**os.environ, "OMP_NUM_THREADS": "1"}
    words = [sys.executable, __file__, "--work"]
    processes = {
        name: subprocess.Popen(
            [*words, name, str(folder), str(until)],
            env=variables,
            stdout=subprocess.PIPE,
            stderr=(folder / f"{name}.log").open("w"),
            text=True,
        )
        for name in WORK
    }
    samples = {name: Samples() for name in WORK}
    while any(process.poll() is None for process in processes.values()):
        for name, process in processes.items():
            samples[name].read(process.pid)
        time.sleep(EVERY_S)
    rounds = {name: process.communicate()[0] for name, process in processes.items()}
    return {name: (json.loads(rounds[name]), samples[name]) for name in WORK}


def row(name: str, minutes: float, rounds: int, samples: Samples) -> tuple[Row, bool]:
    """The row of one kind of work, and whether it held."""
    pairs = [quarters(values) for values in (samples.memory, samples.threads, samples.files)]
    memory, threads, files = pairs
    what = f"soak, {name}, {minutes:.0f} min: {rounds:,} {UNITS[name]}, "
    later = f"{memory[1]:,.0f} MB, {threads[1]:.0f} threads, {files[1]:.0f} open files"
    earlier = f"second quarter: {memory[0]:,.0f} MB, {threads[0]:.0f}, {files[0]:.0f}"
    held = memory[1] <= (1 + GROWTH) * memory[0] and threads[1] <= threads[0]
    found = measured(what + later, earlier, memory[0] / memory[1], "bench/soak.py MUSIC FOLDER")
    return found, held and files[1] <= files[0] + 1


def main() -> None:
    """Watch all kinds of work, or do one kind for a parent that watches."""
    if sys.argv[1] == "--work":
        name, folder, until = sys.argv[2:]
        print(WORK[name](Path(folder), float(until)))
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("music", type=Path, help="folder of audio files")
    parser.add_argument("folder", type=Path, help="new folder for everything that is made")
    parser.add_argument("--minutes", type=float, default=60)
    add_write(parser, "soak")
    options = parser.parse_args()
    prepare(options.music, options.folder)
    found = [
        row(name, options.minutes, *measures)
        for name, measures in watch(options.folder, options.minutes).items()
    ]
    report("soak", [one for one, _ in found], write=options.write)
    if not all(held for _, held in found):
        sys.exit("memory, threads or open files grew")


if __name__ == "__main__":
    main()
