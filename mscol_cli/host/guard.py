"""Guarded calls into plugins: errors name the plugin, and their output goes to stderr."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from typing import ParamSpec, TextIO, TypeVar, cast

from mscol_cli.errors import Interrupted, MscolError, PluginCallError, PluginError
from mscol_cli.system.signals import raise_if_interrupted

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
Allowed = tuple[type[Exception], ...]
"""Exceptions that a contract names, as in `(BadInputError,)`."""

_LABEL = "_mscol_label"


def set_label(part: object, label: str) -> None:
    """Store the label of a part for messages: its kind, name, owner and version."""
    # Bypass the `__setattr__` of frozen dataclasses and torch modules.
    object.__setattr__(part, _LABEL, label)


def label_of(part: object) -> str:
    """Label of a part in messages, as in `encoder 'small' (mscol 0.1.0)`; the class name if the
    host did not build it."""
    return str(getattr(part, _LABEL, type(part).__name__))


@contextmanager
def plugin_call(label: str, where: str = "", allowed: Allowed = ()) -> Iterator[None]:
    """Run code of a plugin.

    Args:
        label: Label of the part.
        where: What the part works on: a track, a clip, a step.
        allowed: Exceptions that the contract names, which pass unchanged.

    Raises:
        PluginCallError: The code raised another exception. Errors that the host has found, Ctrl-C,
            exhausted memory of a GPU and the loss of another process pass unchanged.
    """
    try:
        with _stdout_redirected():
            yield
    except BaseException as error:
        if isinstance(error, allowed) or _has_meaning(error):
            raise
        raise_if_interrupted()
        raise PluginCallError(label, _with_type(error), where) from error


def guarded(
    part: object, method: Callable[Arguments, Result], where: str = "", allowed: Allowed = ()
) -> Callable[Arguments, Result]:
    """Wrap a method of a part in `plugin_call`."""

    def call(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        with plugin_call(label_of(part), where, allowed):
            return method(*args, **kwargs)

    return call


@contextmanager
def located(where: str) -> Iterator[None]:
    """Add `where` to a `PluginCallError` that has none."""
    try:
        yield
    except PluginCallError as error:
        if error.where:
            raise
        raise PluginCallError(error.label, error.reason, where) from error.__cause__


@contextmanager
def loading() -> Iterator[None]:
    """Import a plugin: output of the plugin and its child processes goes to stderr, and stdout,
    stderr and the working directory are restored afterwards."""
    shared = cast(TextIO, _Unclosable(sys.stderr))
    with redirect_stderr(shared), _stdout_redirected(), _descriptor_redirected(), _same_folder():
        yield


class _Unclosable:
    """A stream that a plugin may keep and write to, and that remains open if it is closed."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def close(self) -> None:
        """Flush the stream."""
        self._stream.flush()

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


@contextmanager
def _same_folder() -> Iterator[None]:
    """Return to the working directory, which relative paths of the command line refer to."""
    try:
        folder = os.open(".", os.O_RDONLY)
    except OSError:  # it was removed
        yield
        return
    try:
        yield
    finally:
        os.fchdir(folder)
        os.close(folder)


def describe_error(error: BaseException) -> str:
    """Describe an exception in one line; mscol's own messages are kept as they are."""
    return _one_line(error) if isinstance(error, MscolError) else _with_type(error)


def _with_type(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return f"it called sys.exit({'' if error.code is None else repr(error.code)})"
    return f"{type(error).__name__}: {_one_line(error)}"


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or "no message"


@contextmanager
def _stdout_redirected() -> Iterator[None]:
    """Send `sys.stdout` to stderr, as stdout is for results."""
    # Threads share `sys.stdout`, and may end in any order.
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with redirect_stdout(sys.stderr):
        yield


@contextmanager
def _descriptor_redirected() -> Iterator[None]:
    """Point descriptor 1, which child processes and C libraries write to, at stderr."""
    sys.stdout.flush()
    try:
        before = os.dup(1)
    except OSError:  # closed
        yield
        return
    try:
        with suppress(OSError):
            os.dup2(2, 1)
        yield
    finally:
        os.dup2(before, 1)
        os.close(before)


def _has_meaning(error: BaseException) -> bool:
    # `api` does not offer the first three to plugins.
    host = (PluginError, PluginCallError, Interrupted)
    if isinstance(error, (*host, KeyboardInterrupt, GeneratorExit)):
        return True
    if "torch" not in sys.modules:
        return False
    from torch import OutOfMemoryError

    from mscol_cli.system.distributed import lost_another

    return isinstance(error, OutOfMemoryError) or lost_another(error)
