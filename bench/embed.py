"""Speed of embedding on a CPU, against a plain loop over the encoder.

    python bench/embed.py [--encoders efficientnet_b0 small sample_cnn] [--write]

Both decode the same clips of 16 kHz noise and compute one vector per window. The plain loop decodes
a clip, scales it, cuts windows and calls front end and network in eval mode, as `mscol embed` did
before 29 November 2026. The two alternate; times are CPU seconds of all threads, user and system,
so they depend little on other programs. The split has decoding, front end and network separately,
and the bound is the network's FLOPs at the speed of a matrix product.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import soundfile
import torch
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench.table import Row, add_write, measured, report
from bench.timing import alternate, best_cpu_seconds, cpu_seconds
from mscol_cli.contracts.encoder import Encoder
from mscol_cli.engine.devices import keep_freed_memory
from mscol_cli.engine.embedding import at_level, embed_files, whole_windows
from mscol_cli.engine.folding import folded
from mscol_cli.engine.models import untrained_model
from mscol_cli.engine.waveforms import load_waveform
from mscol_cli.host import find_part, load_registry

CPU = torch.device("cpu")
CLIPS = {"sample_cnn": 3}


def plain(encoder: Encoder, paths: list[Path]) -> int:
    """Embed clips in a plain loop; returns the number of windows."""
    count = 0
    for path in paths:
        waveform = load_waveform(path, encoder.sample_rate)
        assert isinstance(waveform, np.ndarray)
        scaled = torch.from_numpy(at_level(waveform, encoder.level))
        starts = whole_windows(encoder, len(scaled))
        windows = scaled.unfold(0, encoder.crop_samples, 1)[torch.from_numpy(starts)]
        with torch.no_grad():
            encoder(encoder.frontend(windows)).numpy()
        count += len(windows)
    return count


def measure(name: str, folder: Path, options: argparse.Namespace) -> list[Row]:
    """Measure an encoder."""
    encoder = untrained_model(find_part(load_registry(), "encoder", name), CPU).encoder
    paths = sorted(folder.iterdir())[: CLIPS.get(name, options.clips)]
    count = plain(encoder, paths)
    works = {
        "mscol": lambda: list(embed_files(encoder, paths, device=CPU)),
        "plain": lambda: plain(encoder, paths),
    }
    timed = {kind: partial(cpu_seconds, work) for kind, work in works.items()}
    times = alternate(timed, options.rounds)
    ours, theirs = (median(count / seconds for seconds in times[kind]) for kind in works)
    command = f"bench/embed.py --encoders {name}"
    speed = f"embed, {name}: {ours:.0f} windows per CPU second"
    whole = measured(speed, f"plain loop: {theirs:.0f}", ours / theirs, command)
    split, bound = measure_split(encoder, paths, count)
    parts = ", ".join(f"{part} {1e3 * seconds:.2f}" for part, seconds in split.items())
    what = f"embed, {name}, parts of a window: {parts} ms"
    against = f"FLOPs of the network as a matrix product: {1e3 * bound:.2f} ms"
    return [whole, measured(what, against, bound / split["network"], command)]


def measure_split(
    encoder: Encoder, paths: list[Path], count: int
) -> tuple[dict[str, float], float]:
    """Seconds per window of each part, and the bound of the network by its FLOPs."""
    network, size = folded(encoder), 32
    waveforms = torch.randn(size, encoder.crop_samples) / 100
    with torch.inference_mode(), keep_freed_memory():
        features = network.frontend(waveforms)
        decoding = best_cpu_seconds(
            lambda: [load_waveform(path, encoder.sample_rate) for path in paths]
        )
        parts = {
            "decoding": decoding / count,
            "front end": best_cpu_seconds(lambda: network.frontend(waveforms)) / size,
            "network": best_cpu_seconds(lambda: network(features)) / size,
        }
        with FlopCounterMode(display=False) as counter:
            encoder(features)
        flops = counter.get_total_flops() / size
        matrix = torch.randn(1024, 1024)
        speed = 2 * 1024**3 / best_cpu_seconds(lambda: matrix @ matrix)
    return parts, flops / speed


def main() -> None:
    """Measure encoders."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = ["efficientnet_b0", "small", "sample_cnn"]
    parser.add_argument("--encoders", nargs="+", default=names)
    parser.add_argument("--clips", type=int, default=12, help="clips of 30 s")
    parser.add_argument("--rounds", type=int, default=7)
    add_write(parser, "embed")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        noise = np.random.default_rng(0)
        for number in range(options.clips):
            clip = (0.1 * noise.standard_normal(480_000)).astype(np.float32)
            soundfile.write(Path(name) / f"{number:03}.wav", clip, 16_000)
        for encoder in options.encoders:
            report("embed", measure(encoder, Path(name), options), write=options.write)


if __name__ == "__main__":
    main()
