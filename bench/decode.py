"""Decoding speed, compared with libsndfile or another source tree of mscol.

    python bench/decode.py [--against TREE] [--rounds 9] [--seconds 30] [--write]

Clips are synthesised and written as MP3, Ogg Vorbis, FLAC and WAV. Both sides decode the same clip
alternately, in one new process each, as a data set has one format. Rows have medians of the CPU
time and of the ratios per round.
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

sys.path.append(str(Path(__file__).resolve().parent.parent))

from bench.table import Row, add_write, measured, report
from bench.timing import Server, alternate, serve

SHORTEST = "16 kHz mono, MP3 at 32 kbit/s"
CLIPS = {
    "44.1 kHz stereo, MP3 at 192 kbit/s": ("mp3", 44100, 2, "CONSTANT"),
    "44.1 kHz stereo, MP3 VBR": ("mp3", 44100, 2, "VARIABLE"),
    SHORTEST: ("mp3", 16000, 1, "CONSTANT"),
    "44.1 kHz stereo, Ogg Vorbis": ("ogg", 44100, 2, None),
    "44.1 kHz stereo, FLAC": ("flac", 44100, 2, None),
    "44.1 kHz stereo, WAV": ("wav", 44100, 2, None),
}
SERVE = "--serve"


def main() -> None:
    """Measure all formats."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--against", type=Path, help="another source tree; default: soundfile.read")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--label", help="name of the other tree in rows")
    add_write(parser, "decode")
    options = parser.parse_args()
    label = options.label or ("other tree" if options.against else "soundfile")
    with tempfile.TemporaryDirectory() as folder:
        clips = {name: _write(Path(folder), options.seconds, *CLIPS[name]) for name in CLIPS}
        orders = {name: [name] for name in CLIPS}
        # Blocks that other formats freed change the time of short files.
        orders[f"{SHORTEST}, after the others"] = [*clips, SHORTEST]
        rows = []
        for name, order in orders.items():
            servers = {"ours": _server(Path(__file__).parents[1])}
            servers["theirs"] = _server(options.against)
            for clip in order:
                works = {side: partial(each.seconds, clips[clip]) for side, each in servers.items()}
                times = alternate(works, options.rounds)
            rows.append(_row(f"decode, {options.seconds} s, {name}", label, *times.values()))
            for server in servers.values():
                server.stop()
    report("decode", rows, write=options.write)


def _row(what: str, label: str, ours: list[float], theirs: list[float]) -> Row:
    our_ms, their_ms = (1000 * median(side) for side in (ours, theirs))
    ratio = median(second / first for first, second in zip(ours, theirs, strict=True))
    return measured(
        f"{what}: {our_ms:.1f} ms", f"{label}: {their_ms:.1f}", ratio, "bench/decode.py"
    )


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


def _server(tree: Path | None) -> Server:
    """A process that decodes files with a source tree; None uses soundfile."""
    environment = {"PYTHONPATH": str(tree)} if tree else {}
    return Server(__file__, SERVE, *([tree] if tree else []), environment=environment)


if __name__ == "__main__":
    if sys.argv[1:2] == [SERVE] and len(sys.argv) > 2:
        sys.path.insert(0, sys.argv[2])
        from mscol_cli.audio import read_audio

        serve(lambda clip: read_audio(Path(clip)))
    elif sys.argv[1:2] == [SERVE]:
        serve(lambda clip: soundfile.read(clip, dtype="float32", always_2d=True))
    else:
        main()
