"""Formats with checksums: one changed byte does not pass."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.audio_table import build_av as av
from tests.audio_table import build_ogg as ogg
from tests.audio_table.outcome import outcome

WITH_CHECKSUM: dict[str, Callable[[], bytes]] = {
    "a.flac": ogg.flac,
    "a.oga": partial(ogg.encoded, "flac"),
    "a.ogg": partial(ogg.encoded, "vorbis"),
    "a.opus": partial(ogg.encoded, "opus"),
    "a.mka": partial(av.encoded, "matroska", "flac"),
    "a.mp4": partial(av.encoded, "mp4", "flac"),
    "a.tta": partial(av.encoded, "tta", "tta"),
    "a.wv": partial(av.encoded, "wv", "wavpack"),
}


@pytest.mark.parametrize("name", WITH_CHECKSUM)
@pytest.mark.parametrize("share", [0.35, 0.5, 0.8])
def test_a_changed_byte_is_noticed(tmp_path: Path, name: str, share: float) -> None:
    content = bytearray(WITH_CHECKSUM[name]())
    content[int(share * len(content))] ^= 0xFF
    path = tmp_path / name
    path.write_bytes(content)
    result = outcome(path, 3.0)
    assert result.reason is not None or result.shortfall is not None
