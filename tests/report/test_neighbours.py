"""The nearest tracks of a store: a copy of a track lies nearest to it, the track itself never."""

import shutil
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from pathlib import Path

import pytest
import torch

from mscol_cli.contracts.progress import Silent
from mscol_cli.engine.models import Model, untrained_model
from mscol_cli.host import find_part, load_registry
from mscol_cli.probe.cache import open_cache
from mscol_cli.report.neighbours import Nearest, nearest_tracks
from mscol_cli.store import Store
from tests.conftest import run_in
from tests.helpers.audio import tones, write_audio

CPU = torch.device("cpu")
Find = Callable[..., list[Nearest]]


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Three tracks, one of them twice."""
    folder = tmp_path_factory.mktemp("neighbours")
    for number in range(3):
        write_audio(folder / "music" / f"{number}.wav", tones(9.0, seed=number))
    shutil.copy(folder / "music/1.wav", folder / "music/copy.wav")
    run_in(folder, ["separate", "music", "--separator", "none", "-o", "music.store"])
    return Store.open(folder / "music.store")


@pytest.fixture(scope="module")
def model() -> Model:
    return untrained_model(find_part(load_registry(), "encoder", "small"), CPU)


@pytest.fixture
def find(music: Store, model: Model) -> Find:
    return partial(nearest_tracks, music, model, progress=Silent())


def tracks(store: Store, rows: tuple[int, ...]) -> list[str]:
    index = store.index
    return [index.track_ids[index.segment_track[row]] for row in rows]


def test_the_copy_of_a_track_is_its_nearest(music: Store, find: Find) -> None:
    found = {tracks(music, (one.query,))[0]: one for one in find(queries=4)}
    assert tracks(music, found["1"].segments)[0] == "copy"
    assert found["1"].similarities[0] == pytest.approx(1.0, abs=1e-5)
    assert list(found["1"].similarities) == sorted(found["1"].similarities, reverse=True)


def test_no_track_is_its_own_neighbour(music: Store, find: Find) -> None:
    for one in find(queries=4):
        near = tracks(music, one.segments)
        assert len(set(near)) == 3
        assert tracks(music, (one.query,))[0] not in near


def test_of_a_large_store_some_tracks_are_compared(find: Find) -> None:
    (one,) = find(queries=1, max_tracks=2)
    assert len(one.segments) == 1


def test_vectors_are_cached_until_the_store_changes(
    music: Store, model: Model, tmp_path: Path
) -> None:
    def revisions() -> list[int]:
        found = nearest_tracks(Store.open(store), model, queries=4, progress=Silent(), max_tracks=4)
        assert len(found) == 4
        with open_cache(model) as cache:
            return sorted(entry.revision for entry in cache.entries)

    store = Path(shutil.copytree(music.path, tmp_path / "copied.store"))
    before = revisions()
    assert revisions() == before
    records = store / "tracks.jsonl"
    hash_of_2 = sha256((music.path.parent / "music/2.wav").read_bytes()).hexdigest()
    records.write_text(records.read_text().replace(hash_of_2, "0" * 64))
    assert revisions() == [*before[1:], before[-1] + 1]
