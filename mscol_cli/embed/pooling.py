"""From the vectors of windows to the vectors of a file."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mscol_cli.errors import BadInputError
from mscol_cli.vectors import VectorHeader


def pool_windows(
    windows: NDArray[np.float32], header: VectorHeader, name: str
) -> NDArray[np.floating]:
    """Pool the windows of a file, in the precision of a folder.

    Args:
        windows: (windows, dim).
        header: Names the pooling and the precision.
        name: Name of the file in messages.

    Returns:
        (1, dim), or (windows, dim) without pooling.

    Raises:
        BadInputError: A value is too large for float16.
    """
    if header.pool == "mean":
        windows = windows.mean(axis=0, keepdims=True)
    elif header.pool == "max":
        windows = windows.max(axis=0, keepdims=True)
    with np.errstate(over="ignore"):
        vectors = windows.astype(header.dtype)
    if not np.isfinite(vectors).all():
        raise BadInputError(f"{name}: its vector exceeds float16; use --precision float32")
    return vectors
