"""Quality of a separator on tracks with true stems.

    python bench/separation_quality.py STEMS_DIR --separator NAME [--model M] [--opt KEY=VALUE]

STEMS_DIR contains one folder per track, as the separator `stems` reads it. Prints a Markdown table
of the signal-to-distortion ratio of each stem, 10 log10(|s|^2 / |s - e|^2) in dB, with the true
stem s and the estimate e over all samples and channels of a track. In brackets is the ratio of the
unprocessed mixture, the baseline. Silent true stems (peak below -80 dB) have no ratio; they are
skipped and counted. `sum` is the ratio of the mixture and the sum of all estimates.

Works with any installed separator. Its input is the mixture, or all stems if it needs them, as the
separator `stems` does: then every ratio must be infinite. If the numbers of channels differ, both
sides are averaged to mono. Exit codes are those of mscol.
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
    """Ratios of a track.

    Attributes:
        track: Track id.
        seconds: Duration.
        estimates: Ratio in dB by source, without sources whose true stem is silent.
        mixture: Ratio in dB by source, with the mixture as the estimate.
        total: Ratio in dB of the mixture and the sum of all estimates.
    """

    track: str
    seconds: float
    estimates: Mapping[str, float]
    mixture: Mapping[str, float]
    total: float


@dataclass
class Clock:
    """Context manager that adds up the time of the separator in seconds."""

    wall: float = 0.0
    cpu: float = 0.0

    def __enter__(self) -> None:
        self.wall -= time.perf_counter()
        self.cpu -= time.process_time()

    def __exit__(self, *_: object) -> None:
        self.wall += time.perf_counter()
        self.cpu += time.process_time()


def ratio(true: Tensor, estimate: Tensor) -> float:
    """10 log10(|s|^2 / |s - e|^2) in dB of two waveforms, (channels, samples)."""
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
        track: Track id.
        seconds: Duration.
        true: Mixture and true stems, (channels, samples), by name.
        separated: Estimates of the same sources, (channels, samples), by name.
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
    """Build a registered separator."""
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
    """The score or the error of each track.

    Args:
        files: Files of all tracks.
        separator: The separator to measure.
        stems: Reads the true stems of the same sources.
        rate: Sample rate in Hz of the comparison; None uses that of the separator.
        clock: Measures the time of the separator.
    """
    roles = {role for track in separator.tracks(files) for role in track.files}
    for track in unique_ids(stems.tracks(files)):
        try:
            decoded = next(read_chunks(track, separator.sample_rate, chunking=None))
        except BadInputError as error:
            yield error
            continue
        original = decoded.sample_rate
        true = stems.separate(decoded.audio)
        with clock:
            estimate = separator.separate({MIXTURE: true[MIXTURE]} if roles == {MIXTURE} else true)
        seconds = true[MIXTURE].shape[-1] / original
        true, estimate = (
            {
                name: resample(waveforms[name].cpu(), original, rate or original)
                for name in (MIXTURE, *stems.sources)
            }
            for waveforms in (true, estimate)
        )
        yield score(track.id, seconds, true, estimate)


def table(scores: Sequence[Score], sources: Sequence[str]) -> Iterator[str]:
    """Lines of Markdown: one row per track, then medians and numbers of silent stems."""
    yield _row("track", *sources, "sum")
    yield "|---" * (len(sources) + 2) + "|"
    for score in scores:
        yield _row(score.track, *(_cell(score, name) for name in sources), f"{score.total:.1f}")
    medians, mixture = (
        [_median(ratios[name] for ratios in column if name in ratios) for name in sources]
        for column in ([score.estimates for score in scores], [score.mixture for score in scores])
    )
    silent = (str(sum(name not in score.estimates for score in scores)) for name in sources)
    total = _median(score.total for score in scores)
    yield _row("**median**", *(f"**{value}**" for value in medians), total)
    yield _row("median of the mixture", *mixture, "")
    yield _row("silent, left out", *silent, "")


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(score: Score, name: str) -> str:
    if name not in score.estimates:
        return "silent"
    return f"{score.estimates[name]:.1f} ({score.mixture[name]:.1f})"


def _median(values: Iterable[float]) -> str:
    ratios = list(values)
    return f"{median(ratios):.2f}" if ratios else "none"


def run(arguments: argparse.Namespace) -> int:
    """Measure and print; returns the exit code."""
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    files, registry, clock = find_audio([arguments.folder]).files, load_registry(), Clock()
    with clock:
        context = SeparatorContext(arguments.device, arguments.model, precision=arguments.precision)
        separator = build(registry, arguments.separator, arguments.opt, context)
    if not separator.sources:
        raise UsageError(f"separator '{arguments.separator}' has no sources to compare.")
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
    seconds = sum(score.seconds for score in scores)
    print("\n".join([*table(scores, separator.sources), ""]))
    print("\n".join(_conditions(arguments, separator, clock, seconds)))
    return 3 if skipped else 0


def _conditions(
    arguments: argparse.Namespace, separator: Separator, clock: Clock, seconds: float
) -> Iterator[str]:
    rate = arguments.rate or separator.sample_rate
    where = f"at {rate} Hz" if rate else "at the sample rate of each track"
    yield f"* separator {arguments.separator}; SDR in dB {where}, in brackets that of the mixture"
    yield from (f"* {key}: {value}" for key, value in separator.passport.items())
    yield (
        f"* {seconds:.0f} s of music in {clock.wall:.1f} s ({clock.cpu:.1f} s of CPU time), loading"
        f" included: {seconds / clock.wall:.2f} times real time; {arguments.device},"
        f" {torch.get_num_threads()} thread(s)"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line and run; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, metavar="STEMS_DIR", help="one folder per track")
    parser.add_argument("--separator", required=True, metavar="NAME", help="see mscol plugins")
    parser.add_argument("--model", metavar="M", help="weights of the separator")
    parser.add_argument("--opt", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--device", default="cpu", metavar="NAME", help="default: cpu")
    parser.add_argument("--precision", default="fp32", metavar="NAME", help="as mscol separate")
    parser.add_argument("--rate", type=int, metavar="HZ", help="compare at this rate")
    parser.add_argument("--threads", type=int, metavar="N", help="default: as torch chooses")
    try:
        return run(parser.parse_args(arguments))
    except MscolError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
