"""Reading a store: crops, levels, the grid of segments, and stores that cannot be read."""

from __future__ import annotations

import json
import os
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mscol_cli.contracts.plans import Crops
from mscol_cli.errors import MissingDataError, MscolError, UsageError
from mscol_cli.store import (
    FailureRecord,
    FileStamp,
    SeparatorIdentity,
    Store,
    StoreWriter,
    sealed_stores,
    shards,
)
from mscol_cli.store.header import StoreHeader
from mscol_cli.store.joining import join, store_lock
from mscol_cli.store.plan import Plan, PlannedTrack, Unit
from mscol_cli.store.segments import segment_levels, segment_starts

LENGTHS = {"b": 200_000, "a/x": 16_000, "c": 100_000}
SHARDS = (("b",), ("a/x", "c"))


def waveforms(name: str) -> dict[str, NDArray[np.float32]]:
    rng = np.random.default_rng(len(name) + LENGTHS[name])
    mixture = rng.standard_normal(LENGTHS[name]).astype(np.float32)
    return {"mixture": mixture, "bass": 1e-4 * mixture, "vocals": np.zeros_like(mixture)}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    path = tmp_path_factory.mktemp("stores") / "a.store"
    identity = SeparatorIdentity("test")
    units = [
        Unit(number, tuple(PlannedTrack(name, {}) for name in names))
        for number, names in enumerate(SHARDS)
    ]
    plan = Plan(line_bytes=0, level_rows=0, units=tuple(units))
    with store_lock(path):
        StoreHeader(("mixture", "bass", "vocals"), identity).write(path)
        for unit in units:
            with StoreWriter(unit.folder(path), ("bass", "vocals"), identity) as writer:
                for track in unit.tracks:
                    stamps = {"mixture": FileStamp(track.id, 1, 1, "")}
                    writer.add(track.id, stamps, waveforms(track.id))
                writer.seal()
        plan.write(path)
        join(path, plan)
    return Store.open(path)


def integers(*values: int) -> NDArray[np.int64]:
    return np.array(values, dtype=np.int64)


def rewrite_header(store: Store, target: Path, **changes: object) -> Path:
    content = json.loads((store.path / "store.json").read_text())
    target.mkdir()
    (target / "store.json").write_text(json.dumps({**content, **changes}))
    return target


@pytest.mark.parametrize(
    ("samples", "starts"),
    [
        (15_919, []),
        (15_920, [0]),
        (63_119, [0]),
        (63_120, [0]),
        (125_839, [0]),
        (125_840, [0, 62_720]),
        (465_600, [62_720 * k for k in range(7)]),
    ],
)
def test_segments_are_the_published_grid(samples: int, starts: list[int]) -> None:
    assert segment_starts(samples).tolist() == starts


def test_a_level_is_the_mean_of_the_first_392_hops() -> None:
    waveform = np.zeros(130_000, dtype=np.float32)
    waveform[62_720:125_440] = -0.5
    assert segment_levels(waveform)[:, 0].tolist() == [0.0, 0.5]


def test_the_index_describes_every_segment(store: Store) -> None:
    index = store.index
    assert index.sources == ("mixture", "bass", "vocals")
    assert index.track_ids == ("a/x", "b", "c")
    assert index.segment_track.tolist() == [0, 1, 1, 1, 2]
    assert index.segment_start.tolist() == [0, 0, 62_720, 125_440, 0]
    assert index.segment_samples.tolist() == [16_000, 62_960, 62_960, 62_960, 62_960]
    expected = np.abs(waveforms("b")["mixture"][62_720:125_440]).mean()
    np.testing.assert_allclose(index.segment_level[2], [expected, 1e-4 * expected, 0], rtol=1e-5)


def test_a_crop_is_the_waveform_over_the_norm_of_its_whole_clip(store: Store) -> None:
    crops = Crops(integers(1, 1, 2), integers(0, 1, 1), integers(1_000, 150_000, 0))
    stored, scale = store.gather(crops, 16_000)
    assert stored.shape == (3, 16_000)
    assert (stored.dtype.name, scale.dtype.name) == ("int16", "float32")
    cut = stored * scale[:, None]
    for row, (name, source, start) in enumerate(
        [("b", "mixture", 1_000), ("b", "bass", 150_000), ("c", "bass", 0)]
    ):
        whole = waveforms(name)[source]
        expected = (whole / np.linalg.norm(whole))[start : start + 16_000]
        np.testing.assert_allclose(cut[row], expected, atol=np.abs(expected).max() / 20_000)


def test_a_crop_is_zero_past_the_end_and_in_silence(store: Store) -> None:
    crops = Crops(integers(0, 0, 0), integers(0, 0, 2), integers(15_000, 16_500, 0))
    stored, scale = store.gather(crops, 2_000)
    assert stored[0, :1_000].any()
    assert not stored[0, 1_000:].any()
    assert not stored[1:].any()
    assert scale[2] == 0.0


def test_a_gain_of_one_is_the_stem_bit_for_bit(store: Store) -> None:
    track, source, start = integers(1, 1, 2, 0), integers(0, 1, 1, 2), integers(7, 150_000, 0, 0)
    gains = np.eye(3, dtype=np.float32)[source]
    for level in ("norm", "rms", "none"):
        stored, factor = store.gather(Crops(track, source, start), 16_000, level)
        mix, ones = store.gather(Crops(track, np.zeros_like(source), start, gains), 16_000, level)
        assert mix.dtype == np.float32
        np.testing.assert_array_equal(mix * ones[:, None], stored * factor[:, None])


def test_gains_mix_the_sources_in_their_ratio_at_the_level_of_a_clip(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    stems = {name: rng.standard_normal(160_000).astype(np.float32) for name in ("bass", "vocals")}
    stems["bass"] *= 0.1
    with StoreWriter(tmp_path / "mix.store", tuple(stems), SeparatorIdentity("test")) as writer:
        mixture = stems["bass"] + stems["vocals"]
        writer.add("a", {"mixture": FileStamp("a", 1, 1, "")}, {"mixture": mixture, **stems})
        writer.seal()
    gains = np.array([[0, 1, 1], [0, 8, 0.5], [0, 0, 0]], np.float32)
    crops = Crops(integers(0, 0, 0), integers(0, 0, 0), integers(0, 500, 0), gains)
    mix, _ = Store.open(tmp_path / "mix.store").gather(crops, 16_000)
    for row in (0, 1):
        whole = gains[row, 1] * stems["bass"] + gains[row, 2] * stems["vocals"]
        expected = (whole / np.linalg.norm(whole))[[0, 500][row] :][:16_000]
        np.testing.assert_allclose(mix[row], expected, atol=np.abs(expected).max() / 100)
    assert not mix[2].any()


def test_a_quiet_source_keeps_its_precision(store: Store) -> None:
    np.testing.assert_allclose(store.waveform(1, 1), waveforms("b")["bass"], atol=1e-8)


def test_the_hash_tells_contents_apart_and_ignores_failures(store: Store, tmp_path: Path) -> None:
    def write(name: str, gain: float, failures: list[FailureRecord]) -> str:
        with StoreWriter(tmp_path / name, (), SeparatorIdentity("test")) as writer:
            waveform = gain * waveforms("c")["mixture"]
            writer.add("c", {"mixture": FileStamp("c", 1, 1, "")}, {"mixture": waveform})
            return writer.seal(failures).hash

    assert write("one", 1.0, []) == write("two", 1.0, [FailureRecord("bad.wav", "is empty")])
    assert write("three", 0.5, []) != store.hash


def test_an_older_or_newer_layout_is_named(store: Store, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"layout 0\b.* 2\b"):
        Store.open(rewrite_header(store, tmp_path / "old", version=0))
    with pytest.raises(UsageError, match=r"layout 3\b"):
        Store.open(rewrite_header(store, tmp_path / "new", version=3))
    with pytest.raises(UsageError, match="not a store"):
        Store.open(rewrite_header(store, tmp_path / "other", format="zarr"))


def test_unfinished_missing_and_incomplete_stores_are_named(store: Store, tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match="mscol separate"):
        Store.open(rewrite_header(store, tmp_path / "unsealed", sealed=False))
    with pytest.raises(MissingDataError, match="not a store"):
        Store.open(tmp_path / "nowhere")
    with pytest.raises(MissingDataError, match=r"shards/00000\.npy"):
        Store.open(rewrite_header(store, tmp_path / "hollow"))


def test_a_damaged_line_is_named(store: Store, tmp_path: Path) -> None:
    target = rewrite_header(store, tmp_path / "damaged", checksums={})
    (target / "tracks.jsonl").write_text('{"id": 1\n')
    with pytest.raises(MscolError, match="line 1 is damaged"):
        Store.open(target)


def test_sealed_stores_are_listed_newest_first(store: Store, tmp_path: Path) -> None:
    for age, name in enumerate(("newest", "older", "oldest")):
        header = rewrite_header(store, tmp_path / name) / "store.json"
        os.utime(header, (1_000_000 - age, 1_000_000 - age))
    rewrite_header(store, tmp_path / "unsealed", sealed=False)
    (tmp_path / "folder").mkdir()
    assert [path.name for path in sealed_stores(tmp_path)] == ["newest", "older", "oldest"]
    assert sealed_stores(tmp_path / "nowhere") == []


def test_a_store_can_be_seen_as_if_it_held_some_tracks(store: Store) -> None:
    some = store.only(["c", "a/x", "never heard of"])
    assert some.index.track_ids == ("a/x", "c")
    assert some.index.segment_track.tolist() == [0, 1]
    np.testing.assert_array_equal(some.waveform(1, 2), store.waveform(2, 2))
    np.testing.assert_array_equal(some.index.segment_level, store.index.segment_level[[0, 4]])
    assert some.hash == store.hash


def test_maps_that_were_dropped_are_made_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "MAPS", 1)
    again, start = Store.open(store.path), integers(0, 0, 0, 0)
    crops = Crops(integers(0, 1, 2, 0), start, start)
    assert np.array_equal(again.gather(crops, 2_000)[0], store.gather(crops, 2_000)[0])
    assert np.array_equal(again.stored(1), store.stored(1))


@pytest.mark.skipif(sys.platform != "linux", reason="the flags of maps are in /proc")
def test_crops_are_read_without_what_is_around_them(store: Store) -> None:
    store.gather(Crops(integers(0, 1), integers(0, 0), integers(0, 0)), 2_000)
    maps = Path("/proc/self/smaps").read_text(encoding="utf-8").split("VmFlags:")
    flags = [after.partition("\n")[0] for before, after in pairwise(maps) if ".npy" in before]
    assert any(" rr" in of_map for of_map in flags)
