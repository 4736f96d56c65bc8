"""Mixtures of stems that were never played together.

Tracks stand in a circle, ordered by a hash of the seed and their names. The first source of a
track comes from the next one in the circle, the second from the one after that, and so on: every
stem is used once, none stays with its track, and no two of a mixture come from one track. Nothing
depends on the order of work, and another track in the collection changes only the few before it in
the circle.
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
    """Give every track the sources of others.

    Args:
        tracks: With their own files; those with a problem keep it, and nothing is taken from them.
        sources: What is drawn; any other file is left out, the mix too.
        seed: Of the draw.

    Returns:
        The tracks in their order, under their own names.

    Raises:
        UsageError: There are too few tracks to draw each source from another.
    """
    sound = [track for track in tracks if track.problem is None]
    if sound and len(sound) <= len(sources):
        raise UsageError(
            f"mix=random draws {len(sources)} sources of a mixture from as many other tracks, and"
            f" there are {len(sound)} tracks: name at least {len(sources) + 1}."
        )
    circle = sorted(sound, key=lambda track: _place(track, seed))
    drawn = {
        track.id: _drawn(track, _next(circle, number, len(sources)), sources)
        for number, track in enumerate(circle)
    }
    return [drawn.get(track.id, track) for track in tracks]


def _place(track: TrackInput, seed: int) -> bytes:
    return sha256(f"{seed}:{track.id}".encode()).digest()


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
        return TrackInput(track.id, problem=f"{track.id}: none of {names} has what was drawn")
    return replace(track, files=files)
