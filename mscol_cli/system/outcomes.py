"""What the user is told of work that was stopped, found nothing to use, or cannot be written."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mscol_cli.errors import BadInputError, Interrupted, MscolError

Failures = list[tuple[str, str]]
"""Names of inputs that could not be used, each with the reason."""
_OF_THE_NAME = {errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.EILSEQ}


@contextmanager
def resumable(kept: str) -> Iterator[None]:
    """Work that the same command goes on with after Ctrl-C.

    Args:
        kept: What is safe then, as a clause.

    Raises:
        Interrupted: In place of KeyboardInterrupt.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(f"stopped; {kept}: run the same command again to go on") from None


MAKE_ROOM = "make room or check the disk, then run the same command again"


@contextmanager
def writing(place: Path, advice: str = "use -o.") -> Iterator[None]:
    """Writing to a place that the user chose. Raises MscolError with advice in place of OSError."""
    try:
        yield
    except OSError as error:
        raise MscolError(
            f"{place} cannot be written ({error.strerror or error}): {advice}"
        ) from error


def nothing_usable(failures: Failures, inputs: int) -> BadInputError:
    """Of so many inputs not one could be used: the reason of the only one, or of the first."""
    if len(failures) == 1:
        return BadInputError(failures[0][1])
    first = f"; the first: {failures[0][1]}" if failures else ""
    return BadInputError(f"none of {inputs} inputs can be used{first}")


@contextmanager
def explained(folder: Path, track_id: str) -> Iterator[None]:
    """Tell a name that the system refuses (BadInputError) from a disk that does (MscolError)."""
    with writing(folder, MAKE_ROOM):
        try:
            yield
        except OSError as error:
            if error.errno not in _OF_THE_NAME:
                raise
            raise BadInputError(
                f"{track_id}: cannot have copies of that name in {folder} ({error.strerror});"
                " rename it"
            ) from None
