"""Windows on disk give the same classifiers as windows in memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mscol_cli.contracts.task import ProbeProtocol
from mscol_cli.probe import classifier, fullbatch, mapped
from mscol_cli.probe.classifier import TrainedProbe, moments
from mscol_cli.probe.fullbatch import train_full_batch
from mscol_cli.probe.mapped import MappedWindows
from mscol_cli.probe.minibatch import train_probe
from mscol_cli.probe.windows import ClipWindows, select
from tests.helpers.probing import gaussian_clips, one_hot

PROTOCOL = ProbeProtocol(epochs=3)


def clips(size: int) -> ClipWindows:
    return gaussian_clips(one_hot([row % 3 for row in range(size)], 3), seed=size)


def on_disk(clips: ClipWindows, folder: Path) -> ClipWindows:
    """The same windows in two files and an array, in another order than that of the clips."""
    windows = clips.windows[:].numpy()
    order = np.random.default_rng(0).permutation(len(windows))
    parts = np.array_split(windows[order], 3)
    sources = [np.asarray(parts[2])]
    for number, part in enumerate(parts[:2]):
        path = folder / f"{len(windows)}-{number}"
        path.write_bytes(part.tobytes())
        sources.insert(number, np.memmap(path, np.float32, "r", shape=part.shape))
    return replace(clips, windows=MappedWindows(sources, np.argsort(order)))


@pytest.fixture(autouse=True)
def small_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mapped, "_READ_ROWS", 200)


@pytest.mark.parametrize("rows", [1 << 14, 70])
def test_moments_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    monkeypatch.setattr(classifier, "MOMENT_ROWS", rows)
    train = clips(150)
    expected, found = moments(train.windows, True), moments(on_disk(train, tmp_path).windows, True)
    assert all(map(torch.equal, expected, found))
    variance, mean = torch.var_mean(train.windows[:], dim=0, correction=0)
    torch.testing.assert_close(found, (mean, variance.sqrt()))


def test_a_selection_is_the_same(tmp_path: Path) -> None:
    train = clips(60)
    kept = np.arange(len(train.windows)) % 3 == 0
    expected = select(train.windows, kept)[:]
    assert torch.equal(select(on_disk(train, tmp_path).windows, kept)[:], expected)


def same(first: TrainedProbe, second: TrainedProbe, test: ClipWindows, folder: Path) -> bool:
    scores = first.clip_scores(test), second.clip_scores(on_disk(test, folder))
    return first.valid_score == second.valid_score and np.array_equal(*scores)


@pytest.mark.parametrize("hidden", [0, 16])
def test_mini_batches_train_the_same_classifier(tmp_path: Path, hidden: int) -> None:
    protocol = replace(PROTOCOL, hidden=hidden)
    train, valid, test = clips(150), clips(40), clips(50)
    disk = on_disk(train, tmp_path), on_disk(valid, tmp_path)
    expected = train_probe(protocol, lambda _: (train, valid), 0)
    assert same(expected, train_probe(protocol, lambda _: disk, 0), test, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("classifier", ["linear", "mlp"])
def test_full_batches_train_the_same_classifier(tmp_path: Path, classifier: str) -> None:
    protocol = replace(PROTOCOL, classifier=classifier)
    train, valid, test = clips(60), clips(40), clips(50)
    expected = train_full_batch(protocol, train, valid, 0)
    disk = on_disk(train, tmp_path), on_disk(valid, tmp_path)
    assert same(expected, train_full_batch(protocol, *disk, 0), test, tmp_path)


@pytest.mark.slow
def test_full_batches_in_blocks_differ_only_by_rounding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    protocol = replace(PROTOCOL, classifier="linear")
    train, valid = clips(60), clips(40)
    expected = train_full_batch(protocol, train, valid, 0).clip_scores(valid)
    monkeypatch.setattr(mapped, "MAX_BYTES", 0)
    monkeypatch.setattr(fullbatch, "BLOCK", 17)
    for windows in (train, on_disk(train, tmp_path)):
        found = train_full_batch(protocol, windows, valid, 0).clip_scores(valid)
        np.testing.assert_allclose(found, expected, rtol=1e-2, atol=1e-2)
