"""Which recordings are the same piece: by a fingerprint of their pitches, and by their names.

Two tracks belong to one piece if

* one has 40 s of the other: the correlation of their semitone spectrograms, at the best offset,
  is `SAME` or more; or
* they are in one folder and their names differ only by a word of `VARIANTS`, such as `_fast`.

Groups are the connected components of this relation.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from scipy.signal import stft

from mscol_cli.audio import load_mono

Floats = NDArray[np.float32]

RATE, FRAME, FRAMES_PER_SECOND = 8_000, 2_048, 2
LOWEST_HZ, SEMITONES = 110.0, 48
QUERY_SECONDS = 40
QUIET_DB, FLAT_DB = 15.0, 2.0
SAME = 0.6
VARIANTS = re.compile(r"([-_ ](fast|f|old|enhanced|remake|sd|chip))+$")


def fingerprint(path: Path) -> Floats:
    """Shape of the spectrum over time, (frames, 48), of unit energy per frame or quieter.

    It is the level of each semitone in dB minus the mean of its frame and of its band. Frames that
    are `QUIET_DB` below the mean level of the track are zero.
    """
    audio = load_mono(path, RATE)
    step = RATE // FRAMES_PER_SECOND
    _, _, spectrum = stft(audio, RATE, nperseg=FRAME, noverlap=0, padded=True)
    power = np.abs(spectrum).astype(np.float32).T ** 2
    per_frame = _averaged(power, step / FRAME)
    levels = 10 * np.log10(per_frame @ _semitone_bands() + 1e-8)
    return shape(np.asarray(levels, np.float32))


def shape(levels: Floats) -> Floats:
    """Normalise levels in dB, (frames, bands), as `fingerprint` does."""
    centred = levels - levels.mean(axis=0)
    loudness = centred.mean(axis=1, keepdims=True)
    sounds = loudness >= -QUIET_DB
    shapes = np.where(sounds, centred - loudness, 0)
    shapes = shapes - shapes.mean(axis=0)
    deviation = np.sqrt((shapes**2).mean(axis=1, keepdims=True))
    return np.asarray(sounds * shapes / np.maximum(deviation, FLAT_DB), np.float32)


def _averaged(power: Floats, width: float) -> Floats:
    """Means over `width` rows, which need not be a whole number."""
    rows = (np.arange(len(power)) / width).astype(int)
    starts = np.flatnonzero(np.diff(rows, prepend=-1))
    sums = np.add.reduceat(power, starts, axis=0)
    return np.asarray(sums / np.diff(starts, append=len(power))[:, None], np.float32)


def _semitone_bands() -> Floats:
    """Triangular bands, (bins, 48); a band is at least two bins wide."""
    hertz = np.fft.rfftfreq(FRAME, 1 / RATE)[:, None]
    centre = LOWEST_HZ * 2 ** (np.arange(SEMITONES) / 12)
    width = np.maximum(centre * (2 ** (1 / 12) - 1), 2 * RATE / FRAME)
    return np.maximum(0, 1 - np.abs(hertz - centre) / width).astype(np.float32)


def similarities(prints: Sequence[Floats]) -> Floats:
    """Best correlation of the middle 40 s of one track with any 40 s of the other.

    Args:
        prints: Fingerprints, (frames, 48) each.

    Returns:
        Symmetric, (tracks, tracks), in [-1, 1].
    """
    longest = max(len(levels) for levels in prints)
    size = 1 << int(np.ceil(np.log2(longest + QUERY_SECONDS * FRAMES_PER_SECOND)))
    spectra = [np.fft.rfft(levels, size, axis=0).astype(np.complex64) for levels in prints]
    found = np.eye(len(prints), dtype=np.float32)
    for row, levels in enumerate(prints):
        query = _middle(levels)
        wanted = np.conj(np.fft.rfft(query, size, axis=0)).astype(np.complex64)
        for column, other in enumerate(prints):
            if column != row and len(other) >= len(query):
                sums = (spectra[column] * wanted).sum(axis=1)
                products = np.fft.irfft(sums, size).astype(np.float32)
                found[row, column] = _best(products, query, other)
    return np.asarray(np.maximum(found, found.T))


def _middle(levels: Floats) -> Floats:
    frames = min(len(levels), QUERY_SECONDS * FRAMES_PER_SECOND)
    start = (len(levels) - frames) // 2
    return levels[start : start + frames]


def _best(products: Floats, query: Floats, other: Floats) -> float:
    energy = np.concatenate([[0.0], np.cumsum((other.astype(np.float64) ** 2).sum(axis=1))])
    window = energy[len(query) :] - energy[: -len(query)]
    wanted = (query.astype(np.float64) ** 2).sum()
    # Windows of silence have no correlation.
    norms = np.sqrt(np.maximum(window, wanted / 2) * wanted) + 1e-6
    return float((products[: len(window)] / norms).max())


def group(names: Sequence[str], similarity: Floats) -> list[int]:
    """The piece of each track.

    Args:
        names: Paths of the tracks, with `/`.
        similarity: Of all pairs, (tracks, tracks).

    Returns:
        For each track the position of the first track of its piece.
    """
    piece = list(range(len(names)))
    titles = [_title(name) for name in names]
    for second in range(len(names)):
        for first in range(second):
            if similarity[first, second] >= SAME or titles[first] == titles[second]:
                low, high = sorted((piece[first], piece[second]))
                piece = [low if label == high else label for label in piece]
    return piece


def _title(name: str) -> tuple[str, str]:
    path = PurePosixPath(name)
    return path.parent.as_posix(), VARIANTS.sub("", path.stem.lower())
