"""Mixtures of stems from different tracks.

Tracks are arranged in a circle, ordered by a hash of the seed and their names. The first source of
a track comes from the next track in the circle, the second from the one after that, and so on:
every stem is used once, and the stems of a mixture come from different other tracks. The result
does not depend on the order of work, and a new track changes only the few tracks before it in the
circle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from mscol_cli.api import TrackInput, UsageError


def mix_at_random(
    tracks: Sequence[TrackInput], sources: Sequence[str], seed: int
) -> list[TrackInput]:
    """Replace the sources of every track by those of other tracks.

    Args:
        tracks: Tracks with their own files; those with a problem are kept and not drawn from.
        sources: Sources to draw; other files, such as the mix, are left out.
        seed: Random seed.

    Returns:
        The tracks in the same order, with the same names.

    Raises:
        UsageError: There are too few tracks to draw each source from another track.
    """
    usable = [track for track in tracks if track.problem is None]
    if usable and len(usable) <= len(sources):
        raise UsageError(
            f"mix=random draws the {len(sources)} sources of a mixture from as many other tracks,"
            f" but there are {len(usable)} tracks: provide at least {len(sources) + 1}."
        )
    circle = sorted(usable, key=lambda track: sha256(f"{seed}:{track.id}".encode()).digest())
    drawn = {
        track.id: _drawn(track, _next(circle, number, len(sources)), sources)
        for number, track in enumerate(circle)
    }
    return [drawn.get(track.id, track) for track in tracks]


def _next(circle: Sequence[TrackInput], number: int, count: int) -> list[TrackInput]:
    return [circle[(number + step) % len(circle)] for step in range(1, count + 1)]


def _drawn(track: TrackInput, donors: Sequence[TrackInput], sources: Sequence[str]) -> TrackInput:
    files: dict[str, Path] = {
        source: donor.files[source]
        for source, donor in zip(sources, donors, strict=True)
        if source in donor.files
    }
    if not files:
        names = ", ".join(donor.id for donor in donors)
        return TrackInput(
            track.id, problem=f"{track.id}: none of {names} has the source drawn from it"
        )
    return replace(track, files=files)
