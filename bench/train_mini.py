"""Train the separation model `mini`, and evaluate it on held-out music.

Usage:
    python bench/train_mini.py train STEMS... [-o FOLDER] [--steps N] [--seed N]
    python bench/train_mini.py evaluate STEMS... [--niter N] [--songs N]

STEMS are folders of real songs, each with vocals, drums, bass and other as audio files; use
different songs for `train` and `evaluate`. Synthesised songs are added. Their random streams differ
from each other and from those of `mscol demo`.

Training follows Open-Unmix: stems are mixed at random gains, half of the time from different songs,
and each network minimises the squared error of its target's magnitudes. Training uses one thread;
the same arguments give the same weights on the same machine. `evaluate` prints a Markdown table of
SDR, 10 log10(|s|^2 / |s - e|^2) over a complete excerpt at 16 kHz mono.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from openunmix.model import OpenUnmix
from safetensors.torch import save_file
from torch import Tensor

# Needed by `python bench/train_mini.py`.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.mini_music import HELD_OUT, QUIET, TRAINING, Music, Stems, real_song, synthetic_songs
from bench.separation_quality import ratio
from mscol_cli.api import MIXTURE, SeparatorContext
from mscol_separators import mini
from mscol_separators.open_unmix import OpenUnmixSeparator
from mscol_separators.options import OpenUnmixOptions

BINS = mini.N_FFT // 2 + 1
WINDOW = torch.hann_window(mini.N_FFT)


def spectrum(waveforms: Tensor) -> Tensor:
    """Complex spectrum, (..., bins, frames), of waveforms, (..., samples), framed as Open-Unmix."""
    flat = waveforms.reshape(-1, waveforms.shape[-1])
    frames = torch.stft(flat, mini.N_FFT, mini.N_HOP, window=WINDOW, return_complex=True)
    return frames.reshape(*waveforms.shape[:-1], *frames.shape[-2:])


def magnitudes(stems: Tensor) -> tuple[Tensor, Tensor]:
    """Magnitudes of mixture and stems.

    Args:
        stems: Waveforms, (batch, targets, samples).

    Returns:
        Mixture, (batch, 1, bins, frames), and stems, (targets, batch, 1, bins, frames).
    """
    spectra = spectrum(stems)
    return spectra.sum(1).abs()[:, None], spectra.abs().transpose(0, 1)[:, :, None]


def fresh_networks(music: Music) -> list[OpenUnmix]:
    """Untrained networks, one per target, with the input statistics of mixtures."""
    frames = torch.cat([magnitudes(music.batch(16))[0][:, 0] for _ in range(16)])
    mean = frames.mean((0, 2)).numpy()
    scale = frames.std((0, 2)).numpy()
    scale = np.maximum(scale, 1e-4 * scale.max())
    networks = []
    for _ in mini.TARGETS:
        network = OpenUnmix(
            BINS,
            nb_channels=1,
            hidden_size=mini.HIDDEN_SIZE,
            input_mean=mean,
            input_scale=scale,
            max_bin=mini.MAX_BIN,
        )
        network.lstm.dropout = 0.0  # small networks trained briefly do not overfit
        networks.append(network)
    return networks


def train(arguments: argparse.Namespace) -> None:
    torch.manual_seed(arguments.seed)
    real = [real_song(folder) for folder in arguments.stems]
    music = Music(list(synthetic_songs(TRAINING, arguments.songs)), real, arguments.seed)
    networks = fresh_networks(music)
    parameters = [weight for network in networks for weight in network.parameters()]
    optimiser = torch.optim.Adam(parameters, lr=arguments.lr)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, _rate(arguments.steps))
    begun, recent = time.monotonic(), torch.zeros(len(networks))
    for step in range(1, arguments.steps + 1):
        recent += _update(networks, music.batch(arguments.batch_size), optimiser)
        schedule.step()
        if step % 50 == 0:
            losses = ", ".join(f"{loss:.4f}" for loss in (recent / 50).tolist())
            print(f"{step}\t{time.monotonic() - begun:.0f} s\t{losses}", flush=True)
            recent.zero_()
    save(networks, arguments.output)


def _rate(steps: int) -> Callable[[int], float]:
    def factor(step: int) -> float:
        return min(1.0, (step + 1) / 100) * 0.5 * (1.0 + math.cos(math.pi * step / steps))

    return factor


def _update(
    networks: Sequence[OpenUnmix], stems: Tensor, optimiser: torch.optim.Optimizer
) -> Tensor:
    mixture, targets = magnitudes(stems)
    losses = torch.stack(
        [
            torch.nn.functional.mse_loss(network(mixture), target)
            for network, target in zip(networks, targets, strict=True)
        ]
    )
    optimiser.zero_grad()
    losses.sum().backward()  # type: ignore[no-untyped-call]  # untyped in torch
    optimiser.step()
    return losses.detach()


def save(networks: Sequence[OpenUnmix], folder: Path) -> None:
    """Save matrices as float16, and the rest (few values of a wide range) as float32."""
    folder.mkdir(parents=True, exist_ok=True)
    for target, network in zip(mini.TARGETS, networks, strict=True):
        state = {
            name: value.half() if value.ndim > 1 else value
            for name, value in network.state_dict().items()
            if not name.endswith("num_batches_tracked")
        }
        save_file(state, folder / f"{target}{mini.SUFFIX}")


def evaluate(arguments: argparse.Namespace) -> None:
    options = OpenUnmixOptions(niter=arguments.niter)
    separator = OpenUnmixSeparator(options, SeparatorContext(model=mini.NAME))
    print("| music | stem | excerpts (silent) | mini | mixture | mixture / 4 |")
    print("|---|---|---|---|---|---|")
    real = (real_song(folder) for folder in arguments.stems)
    _report("synthetic", synthetic_songs(HELD_OUT, arguments.songs), separator)
    _report("real", real, separator)


def _report(music: str, songs: Iterator[Stems], separator: OpenUnmixSeparator) -> None:
    scores: dict[str, list[tuple[float, float, float]]] = {name: [] for name in mini.TARGETS}
    excerpts = 0
    for song in songs:
        excerpts += 1
        for target, score in song_scores(song, separator).items():
            scores[target].append(score)
    for target, ratios in scores.items():
        cells = [f"{value:.1f}" for value in np.median(ratios, axis=0)] if ratios else ["-"] * 3
        silent = excerpts - len(ratios)
        print(f"| {music} | {target} | {len(ratios)} ({silent}) | {' | '.join(cells)} |")


def song_scores(
    song: Stems, separator: OpenUnmixSeparator
) -> dict[str, tuple[float, float, float]]:
    """SDR in dB of the estimate, the mixture and a quarter of the mixture, by non-silent stem."""
    stems = {name: torch.from_numpy(_mono(audio))[None] for name, audio in song.items()}
    mixture = torch.stack(list(stems.values())).sum(0)
    estimates = separator.separate({MIXTURE: mixture})
    return {
        name: (ratio(true, estimates[name]), ratio(true, mixture), ratio(true, mixture / 4))
        for name, true in stems.items()
        if true.abs().max() > QUIET
    }


def _mono(audio: NDArray[np.float32]) -> NDArray[np.float32]:
    return audio if audio.ndim == 1 else audio.mean(axis=0, dtype=np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    commands = parser.add_subparsers(required=True)
    for function, songs in ((train, 600), (evaluate, 80)):
        command = commands.add_parser(function.__name__)
        command.add_argument("stems", nargs="*", type=Path, help="folders of real songs")
        command.add_argument("--songs", type=int, default=songs, help="synthesised songs")
        command.set_defaults(run=function)
        if function is evaluate:
            command.add_argument("--niter", type=int, default=1, help="Wiener filter iterations")
            continue
        command.add_argument("-o", "--output", type=Path, default=mini.FOLDER)
        command.add_argument("--steps", type=int, default=5000)
        command.add_argument("--batch-size", type=int, default=8)
        command.add_argument("--lr", type=float, default=2e-3)
        command.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.run(arguments)


if __name__ == "__main__":
    main()
