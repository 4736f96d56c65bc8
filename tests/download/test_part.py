"""Partial downloads that two processes write, where locks do not keep them apart."""

from functools import partial
from pathlib import Path

import pytest

from mscol_cli.download.part import Part
from mscol_cli.errors import MscolError


def test_a_finished_file_is_not_changed_by_a_process_that_still_downloads_it(
    tmp_path: Path,
) -> None:
    path = tmp_path / "music.zip"
    with Part.open(path, None) as first, Part.open(path, None) as second:
        first.write(b"complete")
        first.finish(path)
        for change in (partial(second.write, b"more"), second.clear, partial(second.finish, path)):
            with pytest.raises(MscolError, match="another process downloads to"):
                change()
    assert path.read_bytes() == b"complete"


def test_a_part_that_another_process_wrote_to_is_not_finished(tmp_path: Path) -> None:
    path = tmp_path / "music.zip"
    with Part.open(path, None) as first, Part.open(path, None) as second:
        first.write(b"complete")
        second.write(b"more")
        with pytest.raises(MscolError, match="run the same command again"):
            first.finish(path)
    assert not path.exists()
