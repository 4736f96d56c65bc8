"""How well a separator separates, on tracks whose true stems are known.

    python bench/separation_quality.py STEMS_DIR --separator NAME [--model M] [--opt KEY=VALUE]

STEMS_DIR holds one folder a track, as the separator `stems` reads it. Prints a Markdown table of
the signal-to-distortion ratio of each stem, 10 log10(|s|^2 / |s - e|^2) in dB, s the true stem and
e the estimate, over all samples and channels of a track; and in brackets that of the mixture as it
is, the ratio to beat. A true stem that is silent (peak below -80 dB) has no such ratio: it is left
out and counted. `sum` is the same ratio of the mixture and the sum of all estimates.

Any separator that is installed will do. It is given the mixture, unless it asks for stems, as
`stems` itself does: then every ratio must be infinite. Where a separator gives other channels than
the truth has, both are averaged to mono. Exit codes are those of mscol.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch
from torch import Tensor

from mscol_cli.api import (
    MIXTURE,
    BadInputError,
    InputFile,
    MscolError,
    Separator,
    SeparatorContext,
    UsageError,
)
from mscol_cli.audio import find_audio, resample
from mscol_cli.host import Registry, find_part, load_registry
from mscol_cli.host.building import build_part
from mscol_cli.separate.chunks import read_chunks
from mscol_cli.separate.plan import unique_ids

SILENT = 1e-4
Waveforms = Mapping[str, Tensor]


@dataclass(frozen=True)
class Score:
    """What was measured on a track.

    Attributes:
        track: Its name.
        seconds: How long it lasts.
        estimates: dB by source; a source whose true stem is silent is not there.
        mixture: The same of the mixture in the estimate's place.
        total: dB of the sum of all estimates against the mixture.
    """

    track: str
    seconds: float
    estimates: Mapping[str, float]
    mixture: Mapping[str, float]
    total: float


@dataclass
class Clock:
    """Seconds that the separator worked."""

    wall: float = 0.0
    cpu: float = 0.0

    def __enter__(self) -> None:
        self.wall -= time.perf_counter()
        self.cpu -= time.process_time()

    def __exit__(self, *_: object) -> None:
        self.wall += time.perf_counter()
        self.cpu += time.process_time()


def ratio(true: Tensor, estimate: Tensor) -> float:
    """10 log10(|s|^2 / |s - e|^2), dB, of two (channels, samples)."""
    if len(true) != len(estimate):
        true, estimate = (waveform.mean(dim=0, keepdim=True) for waveform in (true, estimate))
    signal = float(true.double().square().sum())
    distortion = float((true.double() - estimate.double()).square().sum())
    if not signal or not distortion:
        return -math.inf if distortion else math.inf
    return 10 * math.log10(signal / distortion)


def score(track: str, seconds: float, true: Waveforms, separated: Waveforms) -> Score:
    """Compare the sources of a track.

    Args:
        track: Its name.
        seconds: How long it lasts.
        true: Mixture and true stems, (channels, samples), by name.
        separated: Estimates of the same sources.
    """
    sources = [name for name in true if name != MIXTURE]
    sounding = [name for name in sources if true[name].abs().max() >= SILENT]
    total = torch.stack([separated[name] for name in sources]).sum(dim=0)
    return Score(
        track,
        seconds,
        {name: ratio(true[name], separated[name]) for name in sounding},
        {name: ratio(true[name], true[MIXTURE]) for name in sounding},
        ratio(true[MIXTURE], total),
    )


def build(
    registry: Registry, name: str, opt: Sequence[str], context: SeparatorContext
) -> Separator:
    """A separator, through the host."""
    part = find_part(registry, "separator", name, opt)
    separator: Separator = build_part(part, Separator, context)
    return separator


def measure(
    files: Sequence[InputFile],
    separator: Separator,
    stems: Separator,
    rate: int | None,
    clock: Clock,
) -> Iterator[Score | BadInputError]:
    """The score of each track, or what is wrong with it.

    Args:
        files: Of all tracks.
        separator: What is measured.
        stems: Reads the true stems of the same sources.
        rate: Hz at which both are compared; None compares at the separator's.
        clock: Counts how long the separator works.
    """
    roles = {role for track in separator.tracks(files) for role in track.files}
    for track in unique_ids(stems.tracks(files)):
        try:
            decoded = next(read_chunks(track, separator.sample_rate, chunking=None))
        except BadInputError as error:
            yield error
            continue
        at = decoded.sample_rate
        true = stems.separate(decoded.audio)
        with clock:
            found = separator.separate({MIXTURE: true[MIXTURE]} if roles == {MIXTURE} else true)
        seconds = true[MIXTURE].shape[-1] / at
        true, found = (
            {name: resample(each[name].cpu(), at, rate or at) for name in (MIXTURE, *stems.sources)}
            for each in (true, found)
        )
        yield score(track.id, seconds, true, found)


def table(scores: Sequence[Score], sources: Sequence[str]) -> Iterator[str]:
    """Lines of Markdown: a row a track, then medians and what was left out."""
    yield "| " + " | ".join(["track", *sources, "sum"]) + " |"
    yield "|---" * (len(sources) + 2) + "|"
    for each in scores:
        cells = [_cell(each, name) for name in sources]
        yield "| " + " | ".join([each.track, *cells, f"{each.total:.1f}"]) + " |"
    medians = [
        _median(each.estimates[name] for each in scores if name in each.estimates)
        for name in sources
    ]
    mixture = [
        _median(each.mixture[name] for each in scores if name in each.mixture) for name in sources
    ]
    silent = [str(sum(name not in each.estimates for each in scores)) for name in sources]
    total = _median(each.total for each in scores)
    yield "| " + " | ".join(["**median**", *(f"**{each}**" for each in medians), total]) + " |"
    yield "| " + " | ".join(["median of the mixture", *mixture, ""]) + " |"
    yield "| " + " | ".join(["silent, left out", *silent, ""]) + " |"


def _cell(each: Score, name: str) -> str:
    if name not in each.estimates:
        return "silent"
    return f"{each.estimates[name]:.1f} ({each.mixture[name]:.1f})"


def _median(values: Iterable[float]) -> str:
    found = list(values)
    return f"{median(found):.2f}" if found else "none"


def run(arguments: argparse.Namespace) -> int:
    """Measure and print; returns the exit code."""
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    files, registry, clock = find_audio([arguments.folder]).files, load_registry(), Clock()
    with clock:
        context = SeparatorContext(arguments.device, arguments.model)
        separator = build(registry, arguments.separator, arguments.opt, context)
    if not separator.sources:
        raise UsageError(f"separator '{arguments.separator}' gives no sources to compare.")
    names = f"names={','.join(separator.sources)}"
    stems = build(registry, "stems", [names], SeparatorContext())
    scores, skipped = [], 0
    for result in measure(files, separator, stems, arguments.rate, clock):
        if isinstance(result, BadInputError):
            print(f"skipped {result}", file=sys.stderr)
            skipped += 1
        else:
            print(f"{result.track}: done", file=sys.stderr)
            scores.append(result)
    if not scores:
        raise BadInputError(f"{arguments.folder}: not one track can be compared")
    print("\n".join([*table(scores, separator.sources), ""]))
    print("\n".join(_conditions(arguments, separator, clock, sum(each.seconds for each in scores))))
    return 3 if skipped else 0


def _conditions(
    arguments: argparse.Namespace, separator: Separator, clock: Clock, seconds: float
) -> Iterator[str]:
    rate = arguments.rate or separator.sample_rate
    where = f"at {rate} Hz" if rate else "at each track's own rate"
    yield f"* separator {arguments.separator}; SDR in dB {where}, in brackets the mixture's"
    yield from (f"* {key}: {value}" for key, value in separator.passport.items())
    yield (
        f"* {seconds:.0f} s of music in {clock.wall:.1f} s ({clock.cpu:.1f} s of CPU time), loading"
        f" included: {seconds / clock.wall:.2f} times as fast as it plays; {arguments.device},"
        f" {torch.get_num_threads()} thread(s)"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line and run; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, metavar="STEMS_DIR", help="one folder a track")
    parser.add_argument("--separator", required=True, metavar="NAME", help="see mscol plugins")
    parser.add_argument("--model", metavar="M", help="weights of the separator")
    parser.add_argument("--opt", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--device", default="cpu", metavar="NAME", help="default: cpu")
    parser.add_argument("--rate", type=int, metavar="HZ", help="compare at this rate")
    parser.add_argument("--threads", type=int, metavar="N", help="default: as torch chooses")
    try:
        return run(parser.parse_args(arguments))
    except MscolError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
