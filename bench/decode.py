"""Decoding speed, compared with libsndfile or another source tree of mscol.

    python bench/decode.py [--against TREE] [--rounds 9] [--seconds 30]

Clips are synthesised and written as MP3, Ogg Vorbis, FLAC and WAV. Both sides decode the same clip
alternately, in one process each. The table has medians of the CPU time and of the ratios per round.
Other processes disturb the CPU time less than the elapsed time.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

CLIPS = {
    "44.1 kHz stereo, MP3 at 192 kbit/s": ("mp3", 44100, 2, "CONSTANT"),
    "44.1 kHz stereo, MP3 VBR": ("mp3", 44100, 2, "VARIABLE"),
    "16 kHz mono, MP3 at 32 kbit/s": ("mp3", 16000, 1, "CONSTANT"),
    "44.1 kHz stereo, Ogg Vorbis": ("ogg", 44100, 2, None),
    "44.1 kHz stereo, FLAC": ("flac", 44100, 2, None),
    "44.1 kHz stereo, WAV": ("wav", 44100, 2, None),
}
SERVE = "--serve"


def main() -> None:
    """Print a table of medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--against", type=Path, help="another source tree; default: soundfile.read")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=int, default=30)
    options = parser.parse_args()
    ours, theirs = _server(Path(__file__).parents[1]), _server(options.against)
    print("| clip | this tree | other | ratio |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name, audio_format in CLIPS.items():
            clip = _write(Path(folder), options.seconds, *audio_format)
            pairs = [(_time(ours, clip), _time(theirs, clip)) for _ in range(options.rounds + 1)]
            del pairs[0]  # warm-up
            first, second = (1000 * statistics.median(side) for side in zip(*pairs, strict=True))
            ratio = statistics.median(ours_s / theirs_s for ours_s, theirs_s in pairs)
            print(f"| {name} | {first:.1f} ms | {second:.1f} ms | {ratio:.2f} |")
    for server in (ours, theirs):
        server.terminate()


def _write(
    folder: Path, seconds: int, suffix: str, rate: int, channels: int, mode: str | None
) -> Path:
    rng = np.random.default_rng(0)
    time_s = np.arange(seconds * rate)[:, None] / rate
    sines = np.sin(2 * np.pi * (220 + 110 * np.arange(channels) + 20 * time_s) * time_s)
    samples = 0.3 * sines + 0.05 * rng.standard_normal((seconds * rate, channels))
    path = folder / f"{rate}-{channels}-{mode}.{suffix}"
    # Position in the range of bit rates: 192 in 320 to 32 kbit/s; below 32 kHz 32 in 160 to 8.
    level = {None: None, "VARIABLE": 0.4}.get(mode, 0.45 if rate >= 32_000 else 0.84)
    soundfile.write(
        path, samples.astype(np.float32), rate, bitrate_mode=mode, compression_level=level
    )
    return path


def _server(tree: Path | None) -> subprocess.Popen[str]:
    """Start a process that decodes files with a source tree; None uses soundfile."""
    command = [sys.executable, __file__, SERVE, *([str(tree)] if tree else [])]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    environment = os.environ | ({"PYTHONPATH": str(tree)} if tree else {})
    return subprocess.Popen(command, env=environment, **pipes)  # type: ignore[call-overload,no-any-return]


def _time(server: subprocess.Popen[str], clip: Path) -> float:
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write(f"{clip}\n")
    server.stdin.flush()
    return float(server.stdout.readline())


def serve(decode: Callable[[Path], object]) -> None:
    """Decode each path on stdin and print the CPU time in seconds."""
    for line in sys.stdin:
        begun = time.process_time()
        decode(Path(line.rstrip("\n")))
        print(time.process_time() - begun, flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == [SERVE] and len(sys.argv) > 2:
        sys.path.insert(0, sys.argv[2])
        from mscol_cli.audio import read_audio

        serve(read_audio)
    elif sys.argv[1:2] == [SERVE]:
        serve(lambda path: soundfile.read(path, dtype="float32", always_2d=True))
    else:
        main()
