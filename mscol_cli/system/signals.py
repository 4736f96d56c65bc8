"""Requests to stop: Ctrl-C, and the signals that schedulers send before they end a job."""

from __future__ import annotations

import signal
from collections.abc import Iterable
from types import FrameType

STOPPING = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGUSR1", "SIGUSR2") if hasattr(signal, name)
)
"""Signals that SLURM sends before it ends a job: SIGTERM (after SIGCONT, which is ignored), or the
signal of `sbatch --signal`. Not every system has all of them."""

_interrupted = False
_ends_with_command = False


def interrupt_on_signals() -> None:
    """Let a signal of a scheduler interrupt this process as Ctrl-C does."""
    for number in STOPPING:
        signal.signal(number, _interrupt)
    # Ignored in a process that a shell started in the background: this stays so.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)


def _interrupt(number: int, _frame: FrameType | None) -> None:
    global _interrupted
    _interrupted = True
    # Schedulers repeat signals. They must not interrupt what the first one has begun.
    if number != signal.SIGINT:
        ignore_signals(STOPPING)
    raise KeyboardInterrupt


def raise_if_interrupted() -> None:
    """Raise KeyboardInterrupt if a signal has interrupted this process.

    A signal may arrive anywhere. Extension modules turn the KeyboardInterrupt into an exception of
    their own, and finalizers drop it. So code that would report an exception of an input or of a
    plugin calls this first, and loops over inputs call it for every input.
    """
    if is_interrupted():
        raise KeyboardInterrupt


def is_interrupted() -> bool:
    """Whether a signal has interrupted this process."""
    return _interrupted


def end_with_command() -> None:
    """Declare that this process ends with its command, so that a request to stop is its last."""
    global _ends_with_command
    _ends_with_command = True


def ignore_further_signals(numbers: Iterable[int]) -> bool:
    """Ignore signals after a request to stop, if this process ends with its command; returns
    whether it does."""
    if _ends_with_command:
        ignore_signals(numbers)
    return _ends_with_command


def ignore_signals(numbers: Iterable[int]) -> None:
    """Ignore signals from now on."""
    for number in numbers:
        signal.signal(number, signal.SIG_IGN)
