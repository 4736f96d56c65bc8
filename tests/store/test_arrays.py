"""Arrays of a store, mapped to memory by several threads."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from mscol_cli.store.arrays import open_samples


@pytest.fixture
def switching() -> Iterator[None]:
    """Another thread runs wherever the interpreter frees objects, as it may."""

    def switch(*_: object) -> None:
        time.sleep(0)

    threshold = gc.get_threshold()
    gc.callbacks.append(switch)
    gc.set_threshold(10)
    yield
    gc.callbacks.remove(switch)
    gc.set_threshold(*threshold)


@pytest.mark.usefixtures("switching")
def test_threads_open_arrays_at_once(tmp_path: Path) -> None:
    np.save(tmp_path / "00000.npy", np.arange(4, dtype=np.int16))
    with ThreadPoolExecutor(4) as threads:
        arrays = list(threads.map(open_samples, [tmp_path / "00000.npy"] * 200))
    assert all(len(array) == 4 for array in arrays)
