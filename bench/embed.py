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
from pathlib import Path
from statistics import median

import numpy as np
import soundfile
import torch
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench.table import Row, machine, today, write_rows
from bench.timing import best_cpu_seconds, cpu_seconds
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


def measure(name: str, folder: Path, options: argparse.Namespace) -> Row:
    """Measure an encoder, and print the split."""
    encoder = untrained_model(find_part(load_registry(), "encoder", name), CPU).encoder
    paths = sorted(folder.iterdir())[: CLIPS.get(name, options.clips)]
    count = plain(encoder, paths)
    works = {
        "mscol": lambda: list(embed_files(encoder, paths, device=CPU)),
        "plain": lambda: plain(encoder, paths),
    }
    times: dict[str, list[float]] = {kind: [] for kind in works}
    for number in range(options.rounds + 1):
        for kind, work in works.items():
            seconds = cpu_seconds(work)
            if number:  # the first round fills caches
                times[kind].append(count / seconds)
    ours, theirs = (median(times[kind]) for kind in works)
    print(f"{name}: {ours:.0f} windows/CPU s, plain {theirs:.0f}, {ours / theirs:.2f} times")
    print_split(encoder, paths, count)
    return Row(
        what=f"embed, {name}: {ours:.0f} windows per CPU second",
        against=f"plain loop: {theirs:.0f}",
        ratio=round(ours / theirs, 2),
        date=today(),
        machine=machine(1),
        command=f"bench/embed.py --encoders {name}",
    )


def print_split(encoder: Encoder, paths: list[Path], count: int) -> None:
    """Milliseconds per window of each part, and the bound of the network."""
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
    split = ", ".join(f"{part} {1e3 * seconds:.2f}" for part, seconds in parts.items())
    print(f"  ms per window: {split}; {flops / 1e9:.3f} GFLOP of the network take")
    print(f"  {1e3 * flops / speed:.2f} ms at {speed / 1e9:.0f} GFLOP/s of a matrix product")


def main() -> None:
    """Measure encoders."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = ["efficientnet_b0", "small", "sample_cnn"]
    parser.add_argument("--encoders", nargs="+", default=names)
    parser.add_argument("--clips", type=int, default=12, help="clips of 30 s")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--write", action="store_true", help="write bench/results/embed.json")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        noise = np.random.default_rng(0)
        for number in range(options.clips):
            clip = (0.1 * noise.standard_normal(480_000)).astype(np.float32)
            soundfile.write(Path(name) / f"{number:03}.wav", clip, 16_000)
        rows = [measure(encoder, Path(name), options) for encoder in options.encoders]
    if options.write:
        write_rows("embed", rows)


if __name__ == "__main__":
    main()
