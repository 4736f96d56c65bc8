"""Spools: what was appended is read again, from memory or from the disk, and leaves nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mscol_cli.store import StoreWriter
from mscol_cli.store.header import SeparatorIdentity
from mscol_cli.store.reader import Store
from mscol_cli.store.spool import Spool
from tests.helpers.audio import tones


@pytest.mark.slow
@pytest.mark.parametrize("channels", [None, 2])
@pytest.mark.parametrize("seconds", [1.0, 400.0])
def test_what_was_appended_is_read_again(
    tmp_path: Path, seconds: float, channels: int | None
) -> None:
    waveform = tones(seconds, channels=channels or 1)
    waveform = waveform if channels else waveform[0]
    spool = Spool(tmp_path, channels)
    for start in range(0, waveform.shape[-1], 1_000_000):
        spool.append(waveform[..., start : start + 1_000_000])
    assert len(spool) == waveform.shape[-1]
    np.testing.assert_array_equal(spool[:], waveform)
    np.testing.assert_array_equal(spool[7_000:9_000], waveform[..., 7_000:9_000])
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_spooled_track_is_stored_as_one_in_memory(tmp_path: Path) -> None:
    waveform = 0.3 * tones(280.0)[0]
    spool = Spool(tmp_path)
    spool.append(waveform)
    for name, samples in (("a", waveform), ("b", spool)):
        with StoreWriter(tmp_path / name, (), SeparatorIdentity("none")) as writer:
            writer.add("x", {}, {"mixture": samples})
            writer.seal()
    a, b = Store.open(tmp_path / "a"), Store.open(tmp_path / "b")
    assert a.header.checksums == b.header.checksums
    assert np.abs(a.waveform(0) - waveform).max() < 2e-5
