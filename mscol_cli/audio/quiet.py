"""Keeps the chatter of C decoders off the terminal."""

from __future__ import annotations

import ctypes
import os
import platform
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

_lock = threading.Lock()
_depth = 0
_loud = ctypes.c_void_p()


@contextmanager
def quiet_c_stderr() -> Iterator[None]:
    """Send what C code prints on `stderr` nowhere; Python's own `sys.stderr` is untouched.

    The MP3 decoder inside libsndfile prints notes about odd headers and has no switch for it. The
    C library's stream is swapped, not file descriptor 2, which other threads of this process write
    to (a progress bar, say). Does nothing where the C library is not glibc.
    """
    stream = _stderr_stream()
    if stream is None:
        yield
        return
    _swap(stream, 1)
    try:
        yield
    finally:
        _swap(stream, -1)


def _swap(stream: ctypes.c_void_p, step: int) -> None:
    global _depth
    with _lock:
        if _depth == 0:
            _loud.value = stream.value
        _depth += step
        stream.value = _null_stream() if _depth else _loud.value


@cache
def _stderr_stream() -> ctypes.c_void_p | None:
    if platform.libc_ver()[0] != "glibc":
        return None
    try:
        return ctypes.c_void_p.in_dll(ctypes.CDLL(None), "stderr")
    except (OSError, ValueError):
        return None


@cache
def _null_stream() -> int | None:
    open_stream = ctypes.CDLL(None).fopen
    open_stream.restype = ctypes.c_void_p
    stream: int | None = open_stream(os.devnull.encode(), b"w")
    return stream
