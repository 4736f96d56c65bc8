"""As many CPU threads as a small model can use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

# Below about this many multiplications per update, threads cost more than they bring; on a busy
# machine, where they wait for each other, many times more.
WORTH_THREADS = 1 << 24


@contextmanager
def fitting_threads(multiplications: int) -> Iterator[None]:
    """Run with one thread if updates of that size are too small to be shared out."""
    before = torch.get_num_threads()
    if multiplications < WORTH_THREADS:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
