"""Duration of a probe: embeddings computed once, compared with embedding in every epoch.

    python bench/probe.py                             # synthesised FMA, untrained EfficientNet-B0
    python bench/probe.py --task mtat --data data/mtat --model runs/base --device cuda

Each variant is a complete `mscol probe` process in one thread:

* `once`: embeds every window once, with an empty cache;
* `cached`: the same with all embeddings in the cache;
* `random`: `--protocol crops=random` embeds new random crops in every epoch, as the published
  scripts do. The rest of their protocol (`--recipe smc23`) is not used; it omits standardising and
  scores lower.

All variants train the same number of classifiers for the same maximum number of epochs, and score
the same test clips. The test windows of `random` are in the cache, which favours it. Rows have the
CPU time of a variant and its headline score, with the standard deviation over seeds.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench.table import Row, add_write, measured, report
from bench.timing import run_mscol
from mscol_cli.synthetic import write_collection

RANDOM = ("--protocol", "crops=random")


@dataclass(frozen=True)
class Timing:
    """Duration and result of one variant.

    Attributes:
        name: Name of the variant.
        seconds: CPU time of the process.
        score: Its headline score.
    """

    name: str
    seconds: float
    score: str


def main() -> None:
    """Run the variants."""
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
    report("probe", rows(timings, args), write=args.write)


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
    add_write(parser, "probe")
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
    usage = run_mscol([*arguments, "-o", output], {"MSCOL_CACHE": str(folder / "cache")})
    if usage.code != 0:
        raise SystemExit(f"{name} failed")
    metrics = json.loads((output / "probe.json").read_text())["test_sets"][0]["metrics"]
    metric, score = next(iter(metrics.items()))
    text = f"{metric} {score['value']:.3f}, std {score['std_over_seeds']:.3f}"
    return Timing(name, usage.seconds, text)


def rows(timings: Sequence[Timing], args: argparse.Namespace) -> list[Row]:
    """Both ways with a cache, against random crops."""
    *ours, random = timings
    name = args.encoder if args.model == "untrained" else args.model
    what = f"probe {args.task}, {name}, {args.seeds} classifiers of {args.epochs} epochs"
    return [
        measured(
            f"{what}, {timing.name}: {timing.seconds:.1f} CPU s, {timing.score}",
            f"new random crops in every epoch: {random.seconds:.1f}, {random.score}",
            random.seconds / timing.seconds,
            "bench/probe.py",
        )
        for timing in ours
    ]


if __name__ == "__main__":
    main()
