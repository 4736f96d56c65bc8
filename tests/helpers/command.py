"""The command line in a process of its own, as a user starts it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def run_mscol(
    *arguments: object, folder: Path, **environment: str
) -> subprocess.CompletedProcess[bytes]:
    """Run `python -m mscol_cli ARGUMENTS` in a folder; its output is bytes."""
    command = [sys.executable, "-m", "mscol_cli", *map(str, arguments)]
    variables = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, check=False)
