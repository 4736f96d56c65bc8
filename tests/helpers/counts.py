"""How many cases a suite tried, how many held, and which did not."""

from __future__ import annotations

import os
import random
import re
import sys
from collections.abc import Sequence
from typing import Any, TypeVar

import pytest

T = TypeVar("T")
UNEXPECTED = re.compile(r"^error: \w*(Error|Exception|Interrupt|Iteration)\b", re.MULTILINE)
"""An exception that no code foresaw, by its name."""


def sample(cases: Sequence[T], most: int) -> Sequence[T]:
    """Some of many cases, or all with MSCOL_ALL_EDITS."""
    if "MSCOL_ALL_EDITS" in os.environ:
        return cases
    return random.Random(0).sample(cases, min(most, len(cases)))


def check(name: str, tried: int, wrong: Sequence[Any], capsys: pytest.CaptureFixture[str]) -> None:
    """Print how many cases were tried and held; fail if one did not."""
    assert tried > 0
    with capsys.disabled():
        sys.stdout.write(f"\n{name}: {tried:,} tried, {tried - len(wrong):,} held\n")
        sys.stdout.flush()
    if wrong:
        pytest.fail(
            "\n".join([f"{name}: {len(wrong)} of {tried}", *map(repr, wrong)]), pytrace=False
        )
