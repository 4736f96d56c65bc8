"""`pretrain --probe-every`: a score while the encoder is trained, which leaves no trace in it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from mscol_cli.contracts.progress import Silent
from mscol_cli.engine.models import build_encoder
from mscol_cli.host import find_part, load_registry
from mscol_cli.pretrain.held_clips import hold_clips
from mscol_cli.pretrain.online_probe import NeighbourProbe, neighbour_votes, online_probe
from mscol_cli.synthetic import Collection
from tests.conftest import Command
from tests.helpers.audio import tones, write_audio
from tests.helpers.probing import one_hot

QUICK = ["--objective", "mws", "--encoder", "small", "--batch-size", 8, "--device", "cpu"]


def scores(run: Path, task: str) -> dict[int, float]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return {line["step"]: line[f"probe/{task}"] for line in lines if f"probe/{task}" in line}


def weights(run: Path) -> dict[str, torch.Tensor]:
    newest = sorted((run / "checkpoints").iterdir())[-1]
    return load_file(newest / "encoder.safetensors") | load_file(newest / "optimizer.safetensors")


def record(task: str, data: Path, metric: str = "accuracy") -> dict[str, Any]:
    return {"online_probe": {"every": 1, "task": task, "data": str(data), "metric": metric}}


@pytest.mark.slow
def test_scores_come_at_the_start_now_and_then_and_at_the_end(
    mscol: Command, store: Path, collection: Collection
) -> None:
    probed = ["--probe-every", 2, f"fma={collection.fma}"]
    assert mscol("pretrain", store, *QUICK, "--steps", 5, "-o", "run", *probed) == 0
    found = scores(Path("run"), "fma")
    assert list(found) == [0, 2, 4, 5]
    assert all(0 <= score <= 1 for score in found.values())


@pytest.mark.slow
def test_training_is_the_same_with_and_without(
    mscol: Command, store: Path, collection: Collection
) -> None:
    start = ["pretrain", store, *QUICK, "--steps", 4]
    assert mscol(*start, "-o", "without") == 0
    assert mscol(*start, "-o", "with", "--probe-every", 1, f"fma={collection.fma}") == 0
    without, probed = weights(Path("without")), weights(Path("with"))
    assert all(torch.equal(without[name], probed[name]) for name in without)


@pytest.mark.slow
@pytest.mark.processes
def test_several_processes_score_what_one_does(
    mscol: Command, store: Path, collection: Collection
) -> None:
    probed = ["--probe-every", 1, f"fma={collection.fma}", "--processes", 2, "-o", "two"]
    assert mscol("pretrain", store, *QUICK, "--steps", 1, *probed) == 0
    assert list(scores(Path("two"), "fma")) == [0, 1]


@pytest.mark.slow
def test_a_resumed_run_goes_on_scoring_and_may_score_otherwise(
    mscol: Command, store: Path, collection: Collection
) -> None:
    start = ["pretrain", store, *QUICK, "--steps", 2, "-o", "run"]
    assert mscol(*start, "--probe-every", 2, f"fma={collection.fma}") == 0
    assert mscol("pretrain", "--resume", "-o", "run", "--steps", 4) == 0
    assert list(scores(Path("run"), "fma")) == [0, 2, 4]
    other = ["--probe-every", 1, f"nsynth={collection.nsynth}"]
    assert mscol("pretrain", "--resume", "-o", "run", "--steps", 6, *other) == 0
    assert list(scores(Path("run"), "nsynth")) == [5, 6]


@pytest.mark.parametrize(
    ("asked", "code", "message"),
    [
        ((0, "fma"), 2, "--probe-every 0"),
        ((5, "nothing"), 2, "'nothing'"),
        ((5, "fma=nowhere"), 4, "nowhere "),
        (("often", "fma"), 2, "'--probe-every'"),
    ],
)
def test_what_cannot_be_scored_is_said_before_there_is_a_run(
    mscol: Command,
    store: Path,
    capsys: pytest.CaptureFixture[str],
    asked: tuple[Any, str],
    code: int,
    message: str,
) -> None:
    start = ["pretrain", store, *QUICK, "--steps", 2, "-o", "run"]
    assert mscol(*start, "--probe-every", *asked) == code
    error = capsys.readouterr().err
    assert message in error
    assert error.count("error: ") == 1
    assert not Path("run").exists()


def test_clips_that_cannot_be_read_are_left_out(
    mscol: Command, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for split in ("train", "valid", "test"):
        for label in ("high", "low"):
            write_audio(tmp_path / "mine" / split / label / "clip.wav", tones(2.0))
    (tmp_path / "mine" / "valid" / "low" / "bad.wav").write_bytes(b"no audio")
    start = ["pretrain", store, *QUICK, "--steps", 1, "-o", "run"]
    assert mscol(*start, "--probe-every", 1, "folder=mine") == 0
    assert "valid clips of 'folder'" in capsys.readouterr().err
    assert list(scores(Path("run"), "folder")) == [0, 1]


def test_no_test_clip_is_heard(tmp_path: Path) -> None:
    clips = {}
    for split, seed in (("train", 0), ("valid", 1), ("test", 2)):
        clips[split] = write_audio(tmp_path / split / "c" / "clip.wav", tones(2.0, seed=seed))
    registry = load_registry()
    encoder = build_encoder(find_part(registry, "encoder", "small"), seed=0)
    probe = online_probe(record("folder", tmp_path), encoder, registry, Silent())
    assert isinstance(probe, NeighbourProbe)
    for held, split in ((probe.train, "train"), (probe.valid, "valid")):
        own = hold_clips([clips[split]], encoder, 3, Silent())
        assert torch.equal(held.samples, own.samples)


def test_several_labels_a_clip_are_scored_by_average_precision(collection: Collection) -> None:
    registry = load_registry()
    encoder = build_encoder(find_part(registry, "encoder", "small"), seed=0)
    info = record("mtat", collection.mtat, "average_precision")
    probe = online_probe(info, encoder, registry, Silent())
    assert isinstance(probe, NeighbourProbe)
    assert 0 < probe.score(encoder, torch.device("cpu")) <= 1
    assert encoder.training


def test_votes_are_those_of_the_nearest() -> None:
    angles = np.radians([0, 10, 20, 90, 100])
    references = torch.from_numpy(np.stack([np.cos(angles), np.sin(angles)], axis=1))
    labels = one_hot([0, 0, 1, 1, 1], 2)
    queries = torch.tensor([[5.0, 0.1], [0.0, 0.3]])
    votes = neighbour_votes(queries, references, labels, k=3)
    assert votes.argmax(axis=1).tolist() == [0, 1]
    assert neighbour_votes(queries, references, labels, k=10).shape == (2, 2)


def test_held_crops_are_those_of_the_clip(tmp_path: Path) -> None:
    encoder = build_encoder(find_part(load_registry(), "encoder", "small"), seed=0)
    held = hold_clips([write_audio(tmp_path / "a.wav", tones(3.0))], encoder, 3, Silent())
    (music,) = tones(3.0)
    assert held.samples.shape == (1, 3, encoder.crop_samples)
    room = len(music) - encoder.crop_samples
    middle = held.samples[0, 1].float() * held.gain[0, 1]
    expected = music[room // 2 : room // 2 + encoder.crop_samples] / np.linalg.norm(music)
    torch.testing.assert_close(middle, torch.from_numpy(expected), atol=1e-6, rtol=1e-3)
