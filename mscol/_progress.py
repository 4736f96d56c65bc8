"""Progress for Python callers: a function called with updates, and Python warnings."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import FrameType


class MscolWarning(UserWarning):
    """A problem that does not stop the work, such as a skipped input."""


@dataclass(frozen=True)
class ProgressUpdate:
    """State of a long operation.

    Attributes:
        stage: What is being done, such as `embedding`; empty before the first stage.
        done: Completed units of the stage.
        total: All units of the stage; None if unknown.
        unit: Name of a unit, such as `clips`.
        fields: Values of the moment by name, formatted, such as the loss.
        note: An informative line, such as which store was chosen; empty if the update reports
            progress.
    """

    stage: str = ""
    done: int = 0
    total: int | None = None
    unit: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)
    note: str = ""


ProgressCallback = Callable[[ProgressUpdate], object]


class CallbackProgress:
    """A `Progress` that calls a function, and turns warnings into `MscolWarning`.

    Args:
        callback: Receives every update; None for none.
    """

    def __init__(self, callback: ProgressCallback | None) -> None:
        self._callback = callback
        self._state = ProgressUpdate()

    def begin(self, title: str, total: int | None, unit: str) -> None:
        """Report the start of a stage."""
        self._report(ProgressUpdate(title, 0, total, unit))

    def advance(self, amount: int = 1, **fields: str) -> None:
        """Report `amount` more units."""
        fields = {**self._state.fields, **fields}
        self._report(replace(self._state, done=self._state.done + amount, fields=fields))

    def skip(self, amount: int) -> None:
        """Report `amount` units of an earlier run."""
        self._report(replace(self._state, done=self._state.done + amount))

    def end(self) -> None:
        """Do nothing: the next update belongs to another stage."""

    def note(self, message: str) -> None:
        """Report an informative line."""
        if self._callback is not None:
            self._callback(replace(self._state, note=message))

    def warn(self, message: str) -> None:
        """Issue a warning."""
        warnings.warn(message, MscolWarning, stacklevel=_callers())

    def _report(self, state: ProgressUpdate) -> None:
        self._state = state
        if self._callback is not None:
            self._callback(state)


def _callers() -> int:
    """`stacklevel` for the caller of `warn` that names the nearest line outside mscol; in a thread
    of mscol, the outermost line."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and _package(frame) in ("mscol", "mscol_cli"):
        level, frame = level + 1, frame.f_back
    return level


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__")).partition(".")[0]
