"""Commands that are killed at random moments: run again, they end as if they never were."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.helpers.cases import CASES, LONG_FORM, Case
from tests.helpers.counts import check
from tests.helpers.scripts import run_script

KILLS = {"separate": 20, "pretrain": 20, "embed": 20, "probe": 20, "download": 24}
KILLS |= {"report": 14, "reproduce": 20, "import": 20, "export": 8, "map": 8, "tag": 12}
KILLS |= {"store export": 8, "vectors npz": 6, "vectors csv": 6, "vectors safetensors": 6}
KILLS |= {"vectors parquet": 6}
Capture = pytest.CaptureFixture[str]

pytestmark = LONG_FORM


def differing(files: Sequence[tuple[str, str]], timed: Sequence[str]) -> list[str]:
    """Names of files of one of two results, or whose content differs though it has no times."""
    counts = Counter(name for name, _ in files)
    return [
        name
        for name, count in counts.items()
        if count == 1 or not any(fnmatch(name, pattern) for pattern in timed)
    ]


@pytest.mark.parametrize(("name", "case"), [(name, name) for name in CASES], indirect=["case"])
def test_a_killed_command_ends_as_if_it_never_was(
    name: str, case: Case, tmp_path: Path, capsys: Capture
) -> None:
    result = run_script("killed_at_random.py", [tmp_path / "work", KILLS[name], *case.line])
    wrong = {
        at: end
        for at, end in result["different"].items()
        if end[0] not in (0, case.last) or differing(end[1], case.timed)
    }
    for at, names in result["again"].items():
        if again := [name for name in names if any(fnmatch(name, kept) for kept in case.kept)]:
            wrong[at] = again
    check(f"random kills of {name}", result["tried"], [*wrong.items()], capsys)
    # A command that writes for a moment only is mostly over before the signal arrives.
    assert result["tried"] > 0
