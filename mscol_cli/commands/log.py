"""The log of a command: what stderr prints, with the time of each line."""

from __future__ import annotations

import os
import sys
from datetime import datetime
from pathlib import Path

from mscol_cli.system.files import absolute_path
from mscol_cli.system.outcomes import writing
from mscol_cli.system.text import visible

LOG_FILE = "MSCOL_LOG_FILE"
"""Environment variable with the file of --log-file, to which child processes append, too."""
TIMESTAMPS = "MSCOL_TIMESTAMPS"


def open_log(path: Path, command: str) -> None:
    """Append a command line to a log file, and everything that follows on stderr.

    Raises:
        MscolError: The file cannot be written.
    """
    path = absolute_path(path)
    with writing(path, "give --log-file another path."):
        path.parent.mkdir(parents=True, exist_ok=True)
        _append(path, command)
    os.environ[LOG_FILE] = str(path)


def log(text: str) -> None:
    """Append a line to the log file, if there is one."""
    if not (path := os.environ.get(LOG_FILE)):
        return
    try:
        _append(Path(path), text)
    except OSError as error:
        # A full disk under the log must not end hours of work.
        del os.environ[LOG_FILE]
        sys.stderr.write(f"warning: {visible(path)} cannot be written ({error.strerror}).\n")


def timestamp() -> str:
    """The local time, to begin a line with."""
    return datetime.now().strftime("%Y-%m-%d %H:%M:%S ")


def stamped(is_terminal: bool) -> bool:
    """Whether lines on stderr begin with the time: off a terminal, unless the environment forbids
    it."""
    return not is_terminal and os.environ.get(TIMESTAMPS) != "0"


def _append(path: Path, text: str) -> None:
    # One write, so that lines of several processes do not mix.
    lines = "".join(f"{timestamp()}{line}\n" for line in visible(text).splitlines())
    with path.open("ab", buffering=0) as file:
        file.write(lines.encode("utf-8", "backslashreplace"))
