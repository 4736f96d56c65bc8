"""Two commands at once, locks without effect, a clock set back, small and read-only disks."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.helpers.cases import CASES, LONG_FORM, Case
from tests.helpers.counts import check
from tests.helpers.scripts import run_script

TRIED = {"together": 4, "without_locks": 4, "clock_back": 2, "full": 4, "read_only": 2}
DISKS = ("full", "read_only")
NAMES = [name for name in CASES if name not in ("export", "import", "reproduce", "tag")]
Capture = pytest.CaptureFixture[str]

pytestmark = LONG_FORM


def can_mount(folder: Path) -> bool:
    """Whether this process may mount a disk."""
    folder.mkdir()
    tried = subprocess.run(["mount", "-t", "tmpfs", "none", folder], check=False)
    return tried.returncode == 0 and not subprocess.run(["umount", folder], check=False).returncode


@pytest.mark.parametrize("kind", TRIED)
@pytest.mark.parametrize(("name", "case"), [(name, name) for name in NAMES], indirect=["case"])
def test_a_disturbance_damages_nothing(
    name: str, case: Case, kind: str, shim: Path, tmp_path: Path, capsys: Capture
) -> None:
    if kind in DISKS and not can_mount(tmp_path / "disk"):
        pytest.skip("only the administrator can mount a small disk")
    how = [kind, tmp_path / "work", TRIED[kind], case.verify, case.last, " ".join(case.timed)]
    result = run_script("disturbed.py", [*how, *case.line], LD_PRELOAD=str(shim))
    check(f"{kind}: {name}", result["tried"], [*result["wrong"].items()], capsys)
