"""Readers return or refuse: inputs that the fuzzers begin with, changes of them, and findings."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS, any_checksum, make

FOUND = Path(__file__).parent / "findings"
FEW = 6


def changed(seed: bytes, rng: random.Random) -> Iterator[bytes]:
    """A seed, cut, and with bytes replaced."""
    yield seed
    yield seed[: rng.randrange(len(seed)) + 1]
    broken = bytearray(seed)
    for _ in range(4):
        broken[rng.randrange(1, len(seed) + 1) - 1] = rng.randrange(256)
    yield bytes(broken)


@pytest.mark.parametrize("name", TARGETS)
def test_a_reader_returns_or_refuses(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mscol_importers.table.masked_crc", any_checksum)
    target, rng = make(name, tmp_path / "files"), random.Random(0)
    for seed in islice(target.seeds(), FEW):
        for data in changed(seed, rng):
            target(data)
    for path in sorted((FOUND / name).glob("*")):
        target(path.read_bytes())
