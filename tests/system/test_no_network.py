"""Nothing is looked up or connected to before a command works."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_imports_and_helps_use_no_network(tmp_path: Path) -> None:
    script = ROOT / "tests" / "processes" / "no_network.py"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MSCOL_LOG_FILE": ""}
    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, env=environment, capture_output=True, check=True
    )
    assert json.loads(done.stdout.splitlines()[-1]) == {"failed": [], "tried": []}
