"""The nearest tracks of a store: a copy of a track lies nearest to it, the track itself never."""

import shutil
from pathlib import Path

import pytest
import torch

from mscol_cli.engine.models import untrained_model
from mscol_cli.host import find_part, load_registry
from mscol_cli.report.neighbours import Nearest, nearest_tracks
from mscol_cli.store import Store
from tests.conftest import Command
from tests.helpers.audio import tones, write_audio

CPU = torch.device("cpu")


@pytest.fixture
def music(mscol: Command, tmp_path: Path) -> Store:
    """Three tracks, one of them twice."""
    for number in range(3):
        write_audio(tmp_path / "music" / f"{number}.wav", tones(9.0, seed=number))
    shutil.copy(tmp_path / "music/1.wav", tmp_path / "music/copy.wav")
    assert mscol("separate", "music", "--separator", "none", "-o", "music.store") == 0
    return Store.open(tmp_path / "music.store")


def find(store: Store, queries: int, most: int = 400) -> list[Nearest]:
    model = untrained_model(find_part(load_registry(), "encoder", "small"), CPU)
    return nearest_tracks(store, model.encoder, queries=queries, max_tracks=most, device=CPU)


def tracks(store: Store, rows: tuple[int, ...]) -> list[str]:
    index = store.index
    return [index.track_ids[index.segment_track[row]] for row in rows]


def test_the_copy_of_a_track_is_its_nearest(music: Store) -> None:
    found = {tracks(music, (one.query,))[0]: one for one in find(music, queries=4)}
    assert tracks(music, found["1"].segments)[0] == "copy"
    assert found["1"].similarities[0] == pytest.approx(1.0, abs=1e-5)
    assert list(found["1"].similarities) == sorted(found["1"].similarities, reverse=True)


def test_no_track_is_its_own_neighbour(music: Store) -> None:
    for one in find(music, queries=4):
        near = tracks(music, one.segments)
        assert len(set(near)) == 3
        assert tracks(music, (one.query,))[0] not in near


def test_of_a_large_store_some_tracks_are_compared(music: Store) -> None:
    (one,) = find(music, queries=1, most=2)
    assert len(one.segments) == 1
