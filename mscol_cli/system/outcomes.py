"""Errors for interrupted work, unusable inputs and unwritable outputs."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mscol_cli.errors import BadInputError, Interrupted, MscolError, UnreadableInputError
from mscol_cli.system.signals import raise_if_interrupted
from mscol_cli.system.units import first_names

Failures = list[tuple[str, str]]
"""Name and reason of each input that could not be used."""
MAX_NAMES = 5
"""Names in a note."""
_NAME_ERRORS = {errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.EILSEQ}


@contextmanager
def resumable(kept: str) -> Iterator[None]:
    """Context for work that the same command resumes after Ctrl-C.

    Args:
        kept: What is saved, as a clause.

    Raises:
        Interrupted: In place of KeyboardInterrupt.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(f"stopped; {kept}: run the same command again to resume") from None


CHOOSE_ANOTHER = "check its permissions and the disk, or choose another path with -o."
MAKE_ROOM = "make room or check the disk, then run the same command again"


@contextmanager
def writing(path: Path, advice: str = CHOOSE_ANOTHER) -> Iterator[None]:
    """Context for writing to a file or folder. Raises MscolError with advice instead of OSError."""
    try:
        yield
    except OSError as error:
        raise MscolError(
            f"{path} cannot be written ({error.strerror or error}): {advice}"
        ) from error


def warn_skipped(warn: Callable[[str], None], reason: str, inputs: int) -> None:
    """Warn of a skipped input. The reason of an only input is the error that ends the command."""
    if inputs > 1:
        warn(f"skipped {reason}")


def warn_short(warn: Callable[[str], None], name: str, shortfall: str) -> None:
    """Warn that part of a file is missing.

    Args:
        warn: Prints the warning.
        name: Name of the file.
        shortfall: What is missing, as a phrase.
    """
    warn(f"short {name}: {shortfall}")


def silence_note(names: Sequence[str]) -> str:
    """Note on inputs whose mono mix is silent: how many, and the names of the first ones."""
    return (
        f"silent, or their channels cancel in the mono mix ({len(names):,}):"
        f" {first_names(names, MAX_NAMES)}"
    )


def input_failure(name: str, error: Exception) -> BadInputError:
    """Turn an exception raised by one input into an error that loops over inputs skip.

    Args:
        name: Path of the input, or name of its track.
        error: Exception raised while it was read.

    Raises:
        KeyboardInterrupt: A signal had interrupted this process.
    """
    raise_if_interrupted()
    if isinstance(error, BadInputError):
        return error
    if isinstance(error, OSError):
        reason = error.strerror or str(error)
        return UnreadableInputError(f"{name}: cannot be read ({reason}); check the disk")
    if isinstance(error, MemoryError):
        return BadInputError(f"{name}: does not fit in memory; cut it into shorter files")
    return BadInputError(f"{name}: cannot be read ({type(error).__name__}: {error}); leave it out")


def nothing_usable(failures: Failures, inputs: int) -> BadInputError:
    """The error when no input could be used, with the reason for the first one."""
    first = f"; the first: {failures[0][1]}" if failures else ""
    message = f"none of {inputs} inputs can be used{first}"
    return BadInputError(failures[0][1] if len(failures) == 1 else message, failures)


@contextmanager
def explained(folder: Path, track_id: str) -> Iterator[None]:
    """Context for writing the files of a track. Raises BadInputError if the system rejects the name
    of the track, and MscolError for other write errors."""
    with writing(folder, MAKE_ROOM):
        try:
            yield
        except OSError as error:
            if error.errno not in _NAME_ERRORS:
                raise
            raise BadInputError(
                f"{track_id}: files of this name cannot be written to {folder}"
                f" ({error.strerror}); rename it"
            ) from None
