"""How long a probe takes: embeddings computed once, against the encoder run anew every epoch.

    python bench/probe.py                             # synthesised FMA, fresh EfficientNet-B0
    python bench/probe.py --task mtat --data data/mtat --model runs/base --device cuda

Each racer is `mscol probe` as a process of its own, import and all, from first to last:

* `once`: every window embedded once, an empty cache before;
* `cached`: the same again, its embeddings in the cache;
* `anew`: `--protocol crops=random`: new random crops embedded in every epoch, as the published
  scripts do, and nothing else of their protocol (`--recipe smc23`), which also leaves out
  standardising and scores less for it.

All three train as many classifiers, for as many epochs at most, and score the same test clips.
The windows of its test clips `anew` finds in the cache, which favours it.
Prints one Markdown table: seconds in all, of which embedding every window (and windows a second,
where none was cached) and classifiers (with the embedding that `anew` does between epochs),
seconds an epoch, and the headline score with its spread over seeds and its interval.
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
class Race:
    """One racer's time and result.

    Attributes:
        name: Of the racer.
        seconds: From the start of the process to its end.
        report: Its probe.json.
    """

    name: str
    seconds: float
    report: dict[str, Any]


def main() -> None:
    """Run the three racers, and print the table."""
    given = read_arguments()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        data = given.data or synthesise(folder, given)
        common = ["probe", given.task, "--data", str(data.absolute()), *model_options(given)]
        common += ["--device", given.device, "--seeds", str(given.seeds)]
        common += ["--protocol", f"epochs={given.epochs}", "--protocol", f"patience={given.epochs}"]
        races = [
            race(name, [*common, *options], folder)
            for name, options in (("once", ()), ("cached", ()), ("anew", RANDOM))
        ]
    print(f"{given.task}, {given.model}, {given.device}, {given.seeds} classifiers")
    print(f"clips: {races[0].report['counts']}; windows: {races[0].report['windows']}\n")
    print(table(races))
    once, cached, anew = (one.seconds for one in races)
    print(f"\nanew / once {anew / once:.1f}, anew / cached {anew / cached:.1f}")


def read_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--task", default="fma")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--model", default="untrained")
    parser.add_argument("--encoder", default="efficientnet_b0")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--tracks", type=int, default=40, help="of the synthesised FMA")
    return parser.parse_args()


def synthesise(folder: Path, given: argparse.Namespace) -> Path:
    """A small collection in the layouts of the data sets."""
    made = write_collection(folder / "data", songs=24, tracks=given.tracks, seconds=30, notes=200)
    found: Path = getattr(made, given.task)
    return found


def model_options(given: argparse.Namespace) -> list[str]:
    """`--model`, and `--encoder` for an untrained one."""
    if given.model == "untrained":
        return ["--model", "untrained", "--encoder", given.encoder]
    return ["--model", str(Path(given.model).absolute())]


def race(name: str, arguments: Sequence[str], folder: Path) -> Race:
    """Run one racer in a folder whose cache all share."""
    output = folder / name
    environment = {**os.environ, "MSCOL_CACHE": str(folder / "cache")}
    command = [sys.executable, "-m", "mscol_cli", *arguments, "-o", str(output)]
    start = time.monotonic()
    subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
    seconds = time.monotonic() - start
    return Race(name, seconds, json.loads((output / "probe.json").read_text()))


def table(races: Sequence[Race]) -> str:
    """Times and headline scores as Markdown."""
    names = ("", "s in all", "s embedding", "windows/s", "s classifiers", "s an epoch")
    lines = ["| " + " | ".join((*names, "score", "std over seeds", "95 % interval")) + " |"]
    lines.append("|---" * 9 + "|")
    for one in races:
        trained = one.report["seconds"]["classifiers"]
        epochs = one.report["protocol"]["epochs"] * one.report["seeds"]
        embedding = one.report["seconds"]["embeddings"]
        windows = sum(one.report["windows"].values())
        rate = f"{windows / embedding:,.0f}" if one.name == "once" else ""
        metric, score = next(iter(one.report["test_sets"][0]["metrics"].items()))
        lines.append(
            f"| {one.name} | {one.seconds:.1f} | {embedding:.1f} | {rate} | {trained:.1f}"
            f" | {trained / epochs:.2f} | {metric} {score['value']:.3f}"
            f" | {score['std_over_seeds']:.3f} | {score['low']:.3f} to {score['high']:.3f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
