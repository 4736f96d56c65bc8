"""Shallow classifiers on made-up embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from mscol_cli.contracts.task import ProbeProtocol
from mscol_cli.probe.classifier import TrainedProbe
from mscol_cli.probe.metrics import accuracy, average_precision, roc_auc
from mscol_cli.probe.minibatch import DrawEpoch, in_whole_blocks, train_probe
from mscol_cli.probe.windows import BoolArray, ClipWindows
from tests.helpers.probing import gaussian_clips, one_hot

GENRES = ProbeProtocol(learning_rate=3e-3)
TAGS = ProbeProtocol(
    multilabel=True, learning_rate=3e-3, select="average_precision", metrics=("roc_auc",)
)


def always(splits: Sequence[ClipWindows]) -> DrawEpoch:
    return lambda _: (splits[0], splits[1])


def labels(clips: int, classes: int = 4) -> BoolArray:
    return one_hot([clip % classes for clip in range(clips)], classes)


def tags(clips: int, seed: int) -> BoolArray:
    return np.random.default_rng(seed).random((clips, 4)) < 0.3


def train(protocol: ProbeProtocol, seed: int = 0, standardise: bool = True) -> TrainedProbe:
    splits = [
        gaussian_clips(tags(size, size) if protocol.multilabel else labels(size), seed=size)
        for size in (120, 41)
    ]
    return train_probe(replace(protocol, standardise=standardise), always(splits), seed)


@pytest.mark.slow
@pytest.mark.parametrize("hidden", [0, 16])
def test_classes_that_lie_apart_are_told_apart(hidden: int) -> None:
    test = gaussian_clips(labels(80), seed=3)
    probe = train(replace(GENRES, hidden=hidden))
    assert accuracy(probe.clip_scores(test), test.targets) > 0.9
    assert probe.valid_score > 0.9


@pytest.mark.slow
def test_tags_that_lie_apart_are_told_apart() -> None:
    test = gaussian_clips(tags(80, 5), seed=3)
    scores = train(TAGS).clip_scores(test)
    assert roc_auc(scores, test.targets) > 0.95
    assert average_precision(scores, test.targets) > 0.9


def test_shuffled_labels_are_at_chance() -> None:
    rng = np.random.default_rng(0)
    clips = [gaussian_clips(labels(size), seed=size) for size in (120, 40, 400)]
    shuffled = [ClipWindows(one.windows, one.counts, rng.permutation(one.targets)) for one in clips]
    probe = train_probe(GENRES, always(shuffled), 0)
    assert accuracy(probe.clip_scores(shuffled[2]), shuffled[2].targets) == pytest.approx(
        0.25, abs=0.08
    )


@pytest.mark.slow
@pytest.mark.parametrize("protocol", [GENRES, TAGS])
def test_a_seed_decides_the_result(protocol: ProbeProtocol) -> None:
    test = gaussian_clips(labels(20), seed=3)
    short = replace(protocol, epochs=5)
    first, again, other = (train(short, seed).clip_scores(test) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_training_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train(replace(GENRES, epochs=1))
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.slow
def test_standardising_forgives_scale_and_offset() -> None:
    def score(standardise: bool) -> float:
        splits = [gaussian_clips(labels(size), seed=size, offset=300.0) for size in (120, 40, 80)]
        probe = train_probe(replace(GENRES, standardise=standardise), always(splits), 0)
        return accuracy(probe.clip_scores(splits[2]), splits[2].targets)

    assert score(standardise=True) > 0.9
    assert score(standardise=False) < 0.8


@pytest.mark.slow
def test_a_dimension_that_never_changes_does_no_harm() -> None:
    splits = [gaussian_clips(labels(size), seed=size) for size in (120, 40)]
    for clips in splits:
        clips.windows[:][:, 0] = 7.0
    splits[1].windows[:][0, 0] = 7.1
    probe = train_probe(GENRES, always(splits), 0)
    assert np.isfinite(probe.clip_scores(splits[1])).all()
    assert probe.valid_score > 0.8


def test_the_best_epoch_is_kept_and_patience_ends_the_training() -> None:
    splits = [gaussian_clips(labels(size), seed=size, distance=0.5) for size in (120, 40)]
    probe = train_probe(replace(GENRES, learning_rate=0.05), always(splits), 0)
    assert probe.epochs == min(probe.best_epoch + GENRES.patience, GENRES.epochs)
    assert probe.epochs < GENRES.epochs
    assert accuracy(probe.clip_scores(splits[1]), splits[1].targets) == probe.valid_score


@pytest.mark.parametrize("protocol", [GENRES, TAGS])
def test_clip_scores_pool_windows_as_published(protocol: ProbeProtocol) -> None:
    test = gaussian_clips(labels(9), seed=3)
    probe = train(replace(protocol, epochs=3))
    with torch.no_grad():
        logits = probe.model(test.windows[:])
    parts = torch.split(logits, test.counts.tolist())
    pooled = (
        [part.sigmoid().mean(dim=0) for part in parts]
        if protocol.multilabel
        else [part.mean(dim=0).log_softmax(dim=0) for part in parts]
    )
    scores = probe.clip_scores(test)
    np.testing.assert_allclose(scores, torch.stack(pooled), rtol=1e-5)
    if not protocol.multilabel:
        published = torch.stack([part.sum(dim=0) for part in parts])
        assert scores.argmax(axis=1).tolist() == published.argmax(dim=1).tolist()


def test_a_long_clip_is_as_certain_as_a_short_one() -> None:
    probe = train(replace(GENRES, epochs=1))
    short = gaussian_clips(labels(9), seed=3)
    windows = [
        part.repeat(7, 1).numpy() for part in torch.split(short.windows[:], short.counts.tolist())
    ]
    long = ClipWindows.of(windows, short.targets)
    np.testing.assert_allclose(probe.clip_scores(long), probe.clip_scores(short), rtol=1e-5)


@pytest.mark.slow
def test_a_class_without_training_clips_keeps_its_place() -> None:
    splits = [
        gaussian_clips(one_hot([(0, 2)[clip % 2] for clip in range(size)], 3), seed=size)
        for size in (120, 40)
    ]
    scores = train_probe(GENRES, always(splits), 0).clip_scores(splits[1])
    assert scores.shape == (40, 3)
    assert accuracy(scores, splits[1].targets) > 0.9


@pytest.mark.parametrize(
    ("windows", "taken"), [(106_708, 106_496), (289_205, 286_720), (44_779, 40_960), (8_192, 8_192)]
)
def test_epochs_of_whole_blocks_leave_out_what_the_published_ones_do(
    windows: int, taken: int
) -> None:
    assert in_whole_blocks(windows, 8_192) == taken
    assert in_whole_blocks(windows, 0) == windows


def test_weights_start_as_those_of_keras() -> None:
    splits = [gaussian_clips(labels(size), seed=size, dim=1280) for size in (12, 8)]
    start = replace(GENRES, hidden=512, epochs=1, learning_rate=1e-8)
    layers = train_probe(start, always(splits), 0).model.layers
    for layer, limit in ((layers[0], (6 / (1280 + 512)) ** 0.5), (layers[2], (6 / 516) ** 0.5)):
        assert isinstance(layer, torch.nn.Linear)
        assert float(layer.weight.detach().abs().max()) == pytest.approx(limit, rel=0.02)
        assert float(layer.bias.detach().abs().max()) < 1e-5


def test_every_epoch_may_see_other_windows() -> None:
    seen: list[int] = []

    def draw(epoch: int) -> tuple[ClipWindows, ClipWindows]:
        seen.append(epoch)
        return gaussian_clips(labels(120), seed=epoch), gaussian_clips(labels(40), seed=99)

    probe = train_probe(replace(GENRES, crops="random", epochs=4), draw, 0)
    assert seen == list(range(1, probe.epochs + 1))
    assert probe.valid_score > 0.9


def test_the_first_of_equal_epochs_is_kept_with_random_crops() -> None:
    splits = [gaussian_clips(labels(size), seed=size, distance=9.0) for size in (120, 40)]
    protocol = replace(GENRES, crops="random", learning_rate=0.1)
    probe = train_probe(protocol, always(splits), 0)
    assert probe.valid_score == 1.0
    assert probe.epochs == probe.best_epoch + 5
    assert probe.best_epoch == 1
