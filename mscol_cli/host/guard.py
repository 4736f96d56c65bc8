"""Calls into plugins: what they raise names the plugin, and what they print goes to stderr."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from typing import ParamSpec, TypeVar

from mscol_cli.errors import MscolError, PluginCallError

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

_LABEL = "_mscol_label"


def set_label(part: object, label: str) -> None:
    """Remember what messages call a part that a plugin built: its kind, name, owner and version."""
    # Past the `__setattr__` of frozen dataclasses and of torch's modules.
    object.__setattr__(part, _LABEL, label)


def label_of(part: object) -> str:
    """What messages call a part, as in `encoder 'small' (mscol 0.1.0)`; its class where the host
    has not built it."""
    return str(getattr(part, _LABEL, type(part).__name__))


@contextmanager
def plugin_call(label: str, where: str = "") -> Iterator[None]:
    """Run code of a plugin.

    Args:
        label: What messages call the plugin.
        where: What it works on: a track, a clip, a step.

    Raises:
        PluginCallError: In place of any exception but those that have a meaning of their own:
            mscol's, Ctrl-C, exhausted memory, and the loss of another process.
    """
    try:
        with _stdout_kept():
            yield
    except BaseException as error:
        if _has_meaning(error):
            raise
        raise PluginCallError(label, describe_error(error), where) from error


def guarded(
    part: object, method: Callable[Arguments, Result], where: str = ""
) -> Callable[Arguments, Result]:
    """A method of a part, to be called within `plugin_call`."""

    def call(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        with plugin_call(label_of(part), where):
            return method(*args, **kwargs)

    return call


@contextmanager
def located(where: str) -> Iterator[None]:
    """Add to a `PluginCallError` where it was raised, unless it says so."""
    try:
        yield
    except PluginCallError as error:
        if error.where:
            raise
        raise PluginCallError(error.label, error.reason, where) from error.__cause__


@contextmanager
def loading() -> Iterator[None]:
    """Import a plugin: stdout and stderr are afterwards what they were before, and what the plugin
    or a process that it starts prints goes to stderr."""
    with redirect_stderr(sys.stderr), _stdout_kept(), _descriptor_redirected():
        yield


def describe_error(error: BaseException) -> str:
    """An exception in one line; mscol's own are sentences already."""
    if isinstance(error, SystemExit):
        return f"it called sys.exit({'' if error.code is None else repr(error.code)})"
    text = " ".join(str(error).split()) or "no message"
    return text if isinstance(error, MscolError) else f"{type(error).__name__}: {text}"


@contextmanager
def _stdout_kept() -> Iterator[None]:
    """Stdout is for results: whatever is printed goes to stderr."""
    # `sys.stdout` is one for all threads, and threads may end in any order.
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with redirect_stdout(sys.stderr):
        yield


@contextmanager
def _descriptor_redirected() -> Iterator[None]:
    """Descriptor 1, which other processes and libraries in C write to, is stderr's."""
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
    if isinstance(error, (MscolError, KeyboardInterrupt, GeneratorExit, MemoryError)):
        return True
    if "torch" not in sys.modules:
        return False
    from torch import OutOfMemoryError

    from mscol_cli.system.distributed import lost_another

    return isinstance(error, OutOfMemoryError) or lost_another(error)
