"""Disks that fail: one line, and the same command on a sound disk ends as it should."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.cases import CASES, LONG_FORM, Case
from tests.helpers.counts import check
from tests.helpers.scripts import run_script

FAULTS = {"reproduce": 2, "export": 1, "import": 2}
MOST = 4
"""Faults of each of eight kinds."""
Capture = pytest.CaptureFixture[str]

pytestmark = LONG_FORM


@pytest.mark.parametrize(("name", "case"), [(name, name) for name in CASES], indirect=["case"])
def test_a_fault_is_one_line_and_damages_nothing(
    name: str, case: Case, shim: Path, tmp_path: Path, capsys: Capture
) -> None:
    most, timed = FAULTS.get(name, MOST), " ".join(case.timed)
    arguments = [tmp_path / "work", case.inputs, most, case.verify, case.last, timed, *case.line]
    result = run_script("faulty.py", arguments, LD_PRELOAD=str(shim))
    check(f"faults of {name}", result["tried"], [*result["wrong"].items()], capsys)
    assert result["tried"] > 0
