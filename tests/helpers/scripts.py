"""Scripts of `tests/processes`, which print a JSON document in their last line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def run_script(name: str, arguments: Sequence[object], **environment: str) -> Any:
    """The document that a script prints. Fails if the script does."""
    line = [sys.executable, str(ROOT / "tests" / "processes" / name), *map(str, arguments)]
    done = subprocess.run(
        line,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
