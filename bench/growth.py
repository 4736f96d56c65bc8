"""Time and memory of commands as the number of tracks or clips grows.

    python bench/growth.py FOLDER --sizes 1000 10000 --write

Every command is a process of its own, the one a user runs: `separate --separator none`,
`store info`, `pretrain` to its first update, `embed`, `probe` of a folder of classes, and
`similar`. Inputs are distinct noise of one second at 16 kHz, made in FOLDER, which also holds the
results: what was measured is skipped when the script starts again. Times are CPU seconds, user and
system, in one thread, so they depend little on other programs. They include the start of the
command, so a cost per clip falls with the number of clips; one that rises grows more than linearly.
The picture is bench/growth.png.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import soundfile

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench.table import Row, add_write, measured, report
from bench.timing import run_mscol
from mscol_cli.pages.curves import Curve, Panel, draw_panels, log_ticks
from mscol_cli.pages.pictures import save_picture

RATE = 16_000
CLASSES = 4
MODEL = ("--model", "untrained", "--encoder", "small", "--device", "cpu")
PICTURE = Path(__file__).with_suffix(".png")
Command = Callable[[Path], Sequence[object]]

COMMANDS: dict[str, Command] = {
    "separate": lambda at: ("separate", at / "audio", "--separator", "none", "-o", at / "store"),
    "store info": lambda at: ("store", "info", at / "store"),
    "pretrain": lambda at: (
        *("pretrain", at / "store", "--objective", "cola", "--encoder", "small", "--steps", 1),
        *("--batch-size", 16, "--device", "cpu", "-o", at / "run"),
    ),
    "embed": lambda at: ("embed", at / "audio", *MODEL, "-o", at / "vectors"),
    "probe": lambda at: (
        *("probe", "folder", "--data", at / "audio", *MODEL, "--seeds", 1),
        *("--protocol", "epochs=1", "-o", at / "probe"),
    ),
    "similar": lambda at: (
        *("similar", at / "audio" / "class-0" / "000000.wav", "--in", at / "vectors"),
        *("--device", "cpu"),
    ),
}
"""Commands in the order in which they need each other's results."""
OUTPUTS = {"separate": "store", "pretrain": "run", "embed": "vectors", "probe": "probe"}


def write_clips(folder: Path, count: int) -> None:
    """Distinct clips of one second, in folders of classes; existing ones are kept."""
    noise = np.random.default_rng(0).integers(-3000, 3000, RATE + count, dtype=np.int16)
    for number in range(count):
        path = folder / f"class-{number % CLASSES}" / f"{number:06}.wav"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, noise[number : number + RATE], RATE)


def measure(name: str, at: Path) -> dict[str, float]:
    """CPU seconds and peak memory in MB of a command."""
    if name in OUTPUTS:
        shutil.rmtree(at / OUTPUTS[name], ignore_errors=True)
    usage = run_mscol(COMMANDS[name](at), {"MSCOL_CACHE": str(at / "cache")}, at / "log.txt")
    if usage.code != 0:
        raise SystemExit(f"{name} failed:\n{(at / 'log.txt').read_text()[-2000:]}")
    return {"seconds": usage.seconds, "memory": usage.memory}


def measure_all(folder: Path, sizes: Sequence[int]) -> dict[str, dict[int, dict[str, float]]]:
    """Results by command and size; those of an earlier start are read."""
    results: dict[str, dict[int, dict[str, float]]] = {name: {} for name in COMMANDS}
    for size in sizes:
        at = folder / str(size)
        write_clips(at / "audio", size)
        for name in COMMANDS:
            saved = at / f"{name.replace(' ', '-')}.json"
            if not saved.exists():
                saved.write_text(json.dumps(measure(name, at)))
            results[name][size] = json.loads(saved.read_text())
            print(name, size, results[name][size], flush=True)
    return results


def rows(results: dict[str, dict[int, dict[str, float]]]) -> list[Row]:
    """CPU time per clip and peak memory at the largest size, against the smallest."""
    return [_row(name, by_size) for name, by_size in results.items()]


def _row(name: str, by_size: dict[int, dict[str, float]]) -> Row:
    first, last = min(by_size), max(by_size)
    each_first, each_last = (1e3 * by_size[size]["seconds"] / size for size in (first, last))
    memory_first, memory_last = (by_size[size]["memory"] for size in (first, last))
    return measured(
        f"growth, {name}: {each_last:.2f} ms per clip of {last:,}, {memory_last:.0f} MB",
        f"fewer clips: {each_first:.2f} ms per clip of {first:,}, {memory_first:.0f} MB",
        each_first / each_last,
        "bench/growth.py FOLDER",
    )


def draw(results: dict[str, dict[int, dict[str, float]]]) -> None:
    """CPU time per clip and peak memory by size."""
    panels = []
    for key, title, unit in (
        ("seconds", "CPU time of a command", "CPU seconds"),
        ("memory", "peak memory", "MB"),
    ):
        curves = [
            Curve(name, sorted(by_size), [by_size[size][key] for size in sorted(by_size)], style=at)
            for at, (name, by_size) in enumerate(results.items())
        ]
        panels.append(Panel(title, "clips", unit, curves))
    figure = draw_panels(panels)
    sizes = [size for by_size in results.values() for size in by_size]
    for ax in figure.axes[: len(panels)]:
        log_ticks(ax, sizes)
    figure.axes[0].set_yscale("log")
    figure.axes[0].autoscale(axis="y")
    figure.axes[1].set_ylim(bottom=0)
    save_picture(figure, PICTURE)


def main() -> None:
    """Measure all commands."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="inputs and results, kept for another start")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 10_000])
    add_write(parser, "growth")
    options = parser.parse_args()
    results = measure_all(options.folder, sorted(options.sizes))
    report("growth", rows(results), write=options.write)
    if options.write:
        draw(results)


if __name__ == "__main__":
    main()
