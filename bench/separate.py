"""Speed of Open-Unmix: mscol, a loop over the Separator of openunmix, and one process per file.

    python bench/separate.py [--hidden 512] [--channels 2] [--precision bf16] [--write]

All variants separate the same noise with the same random weights, of the size of a published model,
and one iteration of the Wiener filter. They run alternately in one process; rows have medians.
The weights of umxl have 1,024 hidden units, those of umxhq 512. Decoding and storing are excluded.
The process per file loads torch, openunmix and the weights each time, as `umx` does. Times are CPU
seconds of all threads and processes, so they depend little on other programs.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import openunmix.utils
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench.table import Row, add_write, measured, report
from bench.timing import alternate
from mscol_cli.api import MIXTURE, SeparatorContext
from mscol_separators.open_unmix import OpenUnmixSeparator
from mscol_separators.options import STEMS, OpenUnmixOptions
from tests.helpers.openunmix import write_model

RATE = 44100
ONE_FILE = """
import sys, torch, openunmix.utils
separator = openunmix.utils.load_separator(sys.argv[1], {stems}, niter=1)
separator.freeze()
audio = torch.load(sys.argv[2], weights_only=True)
with torch.no_grad():
    separator(openunmix.utils.preprocess(audio, {rate}, {rate}))
"""


def timed(work: Callable[[], object]) -> float:
    """CPU time of a call in seconds, with that of processes that it starts."""
    begun = os.times()
    work()
    return sum(os.times()[:4]) - sum(begun[:4])


def batched(separator: OpenUnmixSeparator, clips: list[Tensor]) -> Callable[[], None]:
    """Batches of clips, (channels, samples) each, as in `mscol separate`."""
    size = max(1, separator.batch_samples // clips[0].shape[-1])

    def work() -> None:
        for first in range(0, len(clips), size):
            separator.separate_many([{MIXTURE: clip} for clip in clips[first : first + size]])

    return work


def loop(folder: Path, clips: list[Tensor]) -> Callable[[], None]:
    """A loop over clips, (channels, samples) each, with the model of openunmix loaded once."""
    separator = openunmix.utils.load_separator(str(folder), list(STEMS), niter=1)
    separator.freeze()

    def work() -> None:
        with torch.no_grad():
            for clip in clips:
                separator(openunmix.utils.preprocess(clip, RATE, RATE))

    return work


def process(folder: Path, clip: Path) -> Callable[[], object]:
    """A process for one file."""
    code = ONE_FILE.format(stems=list(STEMS), rate=RATE)
    command = [sys.executable, "-c", code, str(folder), str(clip)]
    return lambda: subprocess.run(command, check=True)


def measure(hidden: int, channels: int, arguments: argparse.Namespace, folder: Path) -> list[Row]:
    """Rows of a shape of the networks."""
    model = write_model(folder / f"{hidden}", STEMS, hidden_size=hidden)
    noise = torch.Generator().manual_seed(0)
    clips = [
        0.1 * torch.randn(channels, round(arguments.seconds * RATE), generator=noise)
        for _ in range(arguments.clips)
    ]
    torch.save(clips[0], folder / "clip.pt")
    context = SeparatorContext(model=str(model), precision=arguments.precision)
    separator = OpenUnmixSeparator(OpenUnmixOptions(), context)
    works: dict[str, Callable[[], object]] = {
        "mscol": batched(separator, clips),
        "loop over openunmix": loop(model, clips[:1]),
    }
    if not arguments.no_process:
        works["one process per file"] = process(model, folder / "clip.pt")
    times = alternate(
        {label: partial(timed, work) for label, work in works.items()}, arguments.rounds
    )
    ours = median(times.pop("mscol")) / len(clips)
    shape = f"{hidden} units, {channels} channel" + "s" * (channels > 1)
    speed = f"{arguments.seconds / ours:.1f} times real time per CPU"
    what = f"separate, {shape}, {arguments.precision}: {speed}"
    command = (
        f"bench/separate.py --hidden {hidden} --channels {channels}"
        f" --precision {arguments.precision}"
    )
    return [
        measured(
            what,
            f"{label}: {arguments.seconds / median(seconds):.1f}",
            median(seconds) / ours,
            command,
            arguments.threads,
        )
        for label, seconds in times.items()
    ]


def main() -> None:
    """Measure shapes of the networks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hidden", type=int, nargs="+", default=[512, 1024])
    parser.add_argument("--channels", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--clips", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--precision", default="fp32", choices=("fp32", "bf16"))
    parser.add_argument("--no-process", action="store_true", help="no process per file")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    add_write(parser, "separate")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as folder:
        for hidden in arguments.hidden:
            for channels in arguments.channels:
                rows = measure(hidden, channels, arguments, Path(folder) / f"{channels}")
                report("separate", rows, write=arguments.write)


if __name__ == "__main__":
    main()
