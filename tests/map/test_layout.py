"""Positions, clusters and groups of clips."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn import decomposition

from mscol_cli.map import layout
from mscol_cli.map.colouring import MAX_GROUPS, by_category, by_folder, by_number
from mscol_cli.map.layout import PCA, TSNE, choose_method, cluster, lay_out, reduce_vectors
from mscol_cli.similar.search import unit


def groups(count: int, dim: int = 60) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """(count, dim) vectors around three centres, and the centre of each."""
    rng = np.random.default_rng(0)
    labels = np.arange(count) % 3
    centres = 4 * rng.standard_normal((3, dim))
    return (centres[labels] + rng.standard_normal((count, dim))).astype(np.float32), labels


def test_components_are_those_of_the_unit_vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "CHUNK", 7)
    vectors, _ = groups(90)
    components = reduce_vectors(vectors)
    reference = decomposition.PCA(50).fit_transform(unit(vectors))
    assert components.shape == (90, 50)
    np.testing.assert_allclose(np.abs(components), np.abs(reference), atol=1e-4)


@pytest.mark.parametrize(("clips", "method"), [(2, PCA), (100, TSNE), (30_000, PCA)])
def test_the_number_of_clips_chooses_the_method(clips: int, method: str) -> None:
    assert choose_method(clips) == method


def test_tsne_separates_groups_and_is_the_same_each_time() -> None:
    vectors, labels = groups(60)
    components = reduce_vectors(vectors)
    positions = lay_out(components, TSNE)
    np.testing.assert_array_equal(positions, lay_out(components, TSNE))
    distances = np.linalg.norm(positions[:, None] - positions[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    assert (labels[distances.argmin(axis=1)] == labels).mean() > 0.95


@pytest.mark.parametrize("count", [1, 2, 9])
def test_equal_vectors_lie_in_one_place(count: int) -> None:
    positions = lay_out(reduce_vectors(np.ones((count, 4), dtype=np.float32)), TSNE)
    np.testing.assert_allclose(positions, 0, atol=1e-6)


def test_clusters_are_numbered_by_size_and_at_most_as_many_as_different_clips() -> None:
    vectors, labels = groups(30)
    more = np.concatenate([vectors, vectors[labels == 2]])
    clusters = cluster(reduce_vectors(more), 3)
    assert set(clusters[:30][labels == 2].tolist()) == {0}
    assert len(set(clusters[:30][labels == 1].tolist())) == 1
    assert cluster(np.zeros((5, 2), dtype=np.float32), 8).tolist() == [0] * 5


def test_folders_begin_where_ids_differ() -> None:
    colouring = by_folder(["music/a/x/1.wav", "music/a/2.wav", "music/b/3.wav"])
    assert [group.name for group in colouring.groups] == ["music/a", "music/b"]
    assert colouring.members.tolist() == [0, 0, 1]
    assert [group.name for group in by_folder(["1.wav", "2.wav"]).groups] == ["(top)"]


def test_small_groups_are_joined_and_clips_without_a_label_are_apart() -> None:
    labels = [f"{number:02d}" for number in range(40) for _ in range(40 - number)]
    colouring = by_category("tag", [*labels, ""])
    names = [group.name for group in colouring.groups]
    assert names[0] == "00"
    assert names[MAX_GROUPS - 1 :] == ["21 smaller groups", "no value"]
    assert sum(group.count for group in colouring.groups) == len(labels) + 1
    styles = {(group.color, group.shape) for group in colouring.groups[: MAX_GROUPS - 1]}
    assert len(styles) == MAX_GROUPS - 1


def test_numbers_are_grouped_by_range() -> None:
    colouring = by_number("bpm", [*map(float, range(60)), None])
    assert [group.count for group in colouring.groups] == [10] * 6 + [1]
    assert colouring.members[:2].tolist() == [0, 0]
    assert colouring.groups[-1].name == "no value"
    assert [group.name for group in by_number("bpm", [1.0, 1.0]).groups] == ["1 to 1"]
