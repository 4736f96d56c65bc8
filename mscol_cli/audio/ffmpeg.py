"""Decodes with an `ffmpeg` process what libsndfile cannot open."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mscol_cli.errors import BadInputError


def find_ffmpeg() -> str | None:
    """Path of the `ffmpeg` program, or None."""
    return shutil.which("ffmpeg")


@contextmanager
def converted(path: Path, ffmpeg: str) -> Iterator[Path]:
    """A temporary float WAV file with the first audio stream of `path`.

    Raises:
        BadInputError: ffmpeg finds no audio it can decode.
    """
    with tempfile.TemporaryDirectory(prefix="mscol-") as folder:
        target = Path(folder) / "audio.wav"
        done = subprocess.run(_command(ffmpeg, path, target), capture_output=True, check=False)
        if done.returncode or not target.exists():
            raise BadInputError(f"{path}: ffmpeg cannot decode it ({_reason(done.stderr)})")
        yield target


def _command(ffmpeg: str, source: Path, target: Path) -> list[str]:
    # Only local files: a playlist among the inputs must not make ffmpeg open an address.
    read = [
        ffmpeg,
        "-nostdin",
        "-v",
        "error",
        "-protocol_whitelist",
        "file",
        "-i",
        f"file:{source}",
    ]
    write = ["-map", "0:a:0", "-c:a", "pcm_f32le", "-rf64", "auto", "-f", "wav", f"file:{target}"]
    return [*read, *write]


def _reason(stderr: bytes) -> str:
    lines = stderr.decode(errors="replace").strip().splitlines()
    return lines[-1].strip() if lines else "no reason given"
