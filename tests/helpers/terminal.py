"""A command line as a user sees it: in a pseudo-terminal of 80 columns."""

import fcntl
import os
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

COLUMNS = 80


def in_terminal(*arguments: object, cwd: Path) -> list[str]:
    """Lines that a command printed, stdout and stderr together, without colours; those that the
    progress bar wrote over each other are lines, too."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, COLUMNS, 0, 0))
    line = [sys.executable, "-m", "mscol_cli", *map(str, arguments)]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": str(COLUMNS)}
    process = subprocess.Popen(
        line, cwd=cwd, env=environment, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    output = b""
    while block := _read(ours):
        output += block
    os.close(ours)
    process.wait()
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", output.decode())
    return re.split(r"[\r\n]+", text)


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 1 << 16)
    except OSError:  # what Linux raises when the other end is closed
        return b""
