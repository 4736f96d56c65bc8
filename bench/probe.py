"""Duration of a probe: embeddings computed once, compared with embedding in every epoch.

    python bench/probe.py                             # synthesised FMA, untrained EfficientNet-B0
    python bench/probe.py --task mtat --data data/mtat --model runs/base --device cuda

Each variant is a complete `mscol probe` process:

* `once`: embeds every window once, with an empty cache;
* `cached`: the same with all embeddings in the cache;
* `random`: `--protocol crops=random` embeds new random crops in every epoch, as the published
  scripts do. The rest of their protocol (`--recipe smc23`) is not used; it omits standardising and
  scores lower.

All variants train the same number of classifiers for the same maximum number of epochs, and score
the same test clips. The test windows of `random` are in the cache, which favours it.
Prints a Markdown table: total seconds, seconds of embedding (and windows per second if none was
cached), seconds of the classifiers (including the embedding of `random` between epochs), seconds
per epoch, and the headline score with its standard deviation over seeds and its interval.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mscol_cli.synthetic import write_collection

RANDOM = ("--protocol", "crops=random")


@dataclass(frozen=True)
class Timing:
    """Duration and result of one variant.

    Attributes:
        name: Name of the variant.
        seconds: Duration of the process.
        report: Content of its probe.json.
    """

    name: str
    seconds: float
    report: dict[str, Any]


def main() -> None:
    """Run the variants and print the table."""
    args = read_arguments()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        data = args.data or synthesise(folder, args)
        common = ["probe", args.task, "--data", str(data.absolute()), *model_options(args)]
        common += ["--device", args.device, "--seeds", str(args.seeds)]
        common += ["--protocol", f"epochs={args.epochs}", "--protocol", f"patience={args.epochs}"]
        timings = [
            measure(name, [*common, *options], folder)
            for name, options in (("once", ()), ("cached", ()), ("random", RANDOM))
        ]
    print(f"{args.task}, {args.model}, {args.device}, {args.seeds} classifiers")
    print(f"clips: {timings[0].report['counts']}; windows: {timings[0].report['windows']}\n")
    print(table(timings))
    once, cached, random = (timing.seconds for timing in timings)
    print(f"\nrandom / once {random / once:.1f}, random / cached {random / cached:.1f}")


def read_arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--task", default="fma")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--model", default="untrained")
    parser.add_argument("--encoder", default="efficientnet_b0")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--tracks", type=int, default=40, help="tracks of the synthesised FMA")
    return parser.parse_args()


def synthesise(folder: Path, args: argparse.Namespace) -> Path:
    """Write a small collection in the layouts of the data sets; returns the folder of the task."""
    data = write_collection(folder / "data", songs=24, tracks=args.tracks, seconds=30, notes=200)
    task_folder: Path = getattr(data, args.task)
    return task_folder


def model_options(args: argparse.Namespace) -> list[str]:
    """`--model`, and `--encoder` for an untrained model."""
    if args.model == "untrained":
        return ["--model", "untrained", "--encoder", args.encoder]
    return ["--model", str(Path(args.model).absolute())]


def measure(name: str, arguments: Sequence[str], folder: Path) -> Timing:
    """Run one variant in a folder with a shared cache."""
    output = folder / name
    environment = {**os.environ, "MSCOL_CACHE": str(folder / "cache")}
    command = [sys.executable, "-m", "mscol_cli", *arguments, "-o", str(output)]
    start = time.monotonic()
    subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
    seconds = time.monotonic() - start
    return Timing(name, seconds, json.loads((output / "probe.json").read_text()))


def table(timings: Sequence[Timing]) -> str:
    """Durations and headline scores as Markdown."""
    names = ("", "s total", "s embedding", "windows/s", "s classifiers", "s per epoch")
    lines = ["| " + " | ".join((*names, "score", "std over seeds", "95 % interval")) + " |"]
    lines.append("|---" * 9 + "|")
    for timing in timings:
        report = timing.report
        training, embedding = (report["seconds"][name] for name in ("classifiers", "embeddings"))
        epochs = report["protocol"]["epochs"] * report["seeds"]
        windows = sum(report["windows"].values())
        rate = f"{windows / embedding:,.0f}" if timing.name == "once" else ""
        metric, score = next(iter(report["test_sets"][0]["metrics"].items()))
        lines.append(
            f"| {timing.name} | {timing.seconds:.1f} | {embedding:.1f} | {rate} | {training:.1f}"
            f" | {training / epochs:.2f} | {metric} {score['value']:.3f}"
            f" | {score['std_over_seeds']:.3f} | {score['low']:.3f} to {score['high']:.3f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
