"""Commands that are killed at random moments: run again, they end as if they never were."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from mscol_cli.engine.models import build_encoder, build_objective
from mscol_cli.host import find_objective, find_part, load_registry
from mscol_cli.synthetic import Collection
from tests.conftest import Offer, run_in
from tests.helpers.audio import tones, write_audio
from tests.helpers.counts import check
from tests.helpers.downloads import Server, make_tar, make_zip, remote
from tests.helpers.folders import write_vectors
from tests.helpers.scripts import run_script
from tests.helpers.tensorflow import published_variables, write_checkpoint

SCRIPT = "killed_at_random.py"
CPU = ("--device", "cpu")
SMALL = ("--encoder", "small", "--batch-size", 8, "--steps", 4, *CPU)
STUDY = """
tasks = ["folder"]
seeds = 1

[stores.music]
separator = "none"

[runs.first]
objective = "cola"
encoder = "small"
steps = 4
batch_size = 4
"""
Line = Sequence[object]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.processes,
    pytest.mark.timeout(3600),
    pytest.mark.skipif("MSCOL_ALL_EDITS" not in os.environ, reason="set MSCOL_ALL_EDITS=1"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder that a killed command runs in."""
    return tmp_path / "work"


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    """A task of two classes, and four songs."""
    for number in range(4):
        write_audio(tmp_path / "data" / "music" / f"{number}.wav", tones(5.0, seed=number))
    for name, seeds in {"low": range(8), "high": range(8, 16)}.items():
        for seed in seeds:
            write_audio(tmp_path / "data/folder" / name / f"{seed}.wav", tones(1.5, seed=seed))
    return tmp_path / "data"


def kill(
    folder: Path, kills: int, line: Line, capsys: Any, *, resumes: bool = True, last: int = 0
) -> None:
    """Fail unless each kill leads to the undisturbed result.

    Args:
        folder: The folder that the command runs in.
        kills: How many.
        line: The command line.
        capsys: Pytest's capture.
        resumes: Whether what is finished must not be written again; results of a moment may.
        last: Another exit code that is right if the kill came after the result.
    """
    result = run_script(SCRIPT, [folder, kills, *line])
    assert result["tried"] == kills, result
    allowed = [[last, []]]
    wrong = {at: end for at, end in result["different"].items() if end[:2] not in allowed}
    if resumes:
        wrong |= result["again"]
    check(f"random kills of {line[0]}", kills, [*wrong.items()], capsys)


def test_separate(folder: Path, collection: Collection, capsys: Any) -> None:
    kill(
        folder, 20, ["separate", collection.stems, "--separator", "stems", "-o", "a.store"], capsys
    )


def test_pretrain(folder: Path, store: Path, capsys: Any) -> None:
    options = [*SMALL, "--save-every", 1, "--keep-last", 2, "--resume", "-o", "run"]
    kill(folder, 20, ["pretrain", store, "--objective", "mws", *options], capsys)


def test_embed(folder: Path, sounds: Path, trained: Path, capsys: Any) -> None:
    kill(folder, 20, ["embed", sounds / "folder", "--model", trained, *CPU, "-o", "v"], capsys)


@pytest.mark.parametrize("suffix", ["npz", "csv", "safetensors", "parquet"])
def test_vectors_export(folder: Path, tmp_path: Path, capsys: Any, suffix: str) -> None:
    rows = {f"{number}.wav": [[float(number), 1.0, 2.0]] * 40 for number in range(3000)}
    vectors = write_vectors(tmp_path / "vectors", rows)
    kill(folder, 6, ["vectors", "export", vectors, "-o", f"v.{suffix}"], capsys, resumes=False)


def test_map(folder: Path, tmp_path: Path, capsys: Any) -> None:
    rows = {f"{number}.wav": [float(number), 1.0, 2.0] for number in range(100)}
    vectors = write_vectors(tmp_path / "vectors", rows)
    kill(folder, 10, ["map", vectors, "--clusters", 2, "-o", "map.html"], capsys, resumes=False)


def test_probe(folder: Path, sounds: Path, trained: Path, capsys: Any) -> None:
    options = ["--model", trained, "--seeds", 2, "--protocol", "epochs=3", "--save", *CPU]
    kill(folder, 20, ["probe", "folder", "--data", sounds / "folder", *options, "-o", "p"], capsys)


def test_tag(folder: Path, sounds: Path, trained: Path, tmp_path: Path, capsys: Any) -> None:
    options = ["--model", trained, "--seeds", 1, "--protocol", "epochs=3", "--save", *CPU]
    run_in(tmp_path, ["probe", "folder", "--data", sounds / "folder", *options, "-o", "head"])
    line = ["tag", sounds / "music", "--head", tmp_path / "head", *CPU, "-o", "tags.csv"]
    kill(folder, 10, line, capsys, resumes=False)


def test_import(folder: Path, tmp_path: Path, capsys: Any) -> None:
    registry = load_registry()
    encoder = build_encoder(find_part(registry, "encoder", "efficientnet_b0"), seed=1)
    objective = build_objective(find_objective(registry, "msa"), encoder, seed=1)
    variables = published_variables(encoder, objective, 10)
    index = write_checkpoint(tmp_path / "tf" / "checkpoint-1", variables)
    kill(folder, 12, ["import", index, "-o", "model"], capsys, last=2)


def test_export(folder: Path, trained: Path, capsys: Any) -> None:
    kill(folder, 8, ["export", trained, "-o", "new/small.onnx"], capsys, resumes=False)


def test_download(folder: Path, server: Server, offer: Offer, capsys: Any) -> None:
    server.pause = 0.02
    music = os.urandom(300_000)
    tar = make_tar({f"notes/{number}.json": b"{}" for number in range(20)})
    files = [
        remote(server, "labels.csv", music),
        remote(server, "clips.zip", make_zip({"0/a.mp3": music, "f/b.mp3": b""}), unpack="zip"),
        remote(server, "notes.tar.gz", tar, unpack="tar.gz"),
    ]
    offer(mine=files)
    kill(folder, 24, ["download", "mine"], capsys)


def test_report(folder: Path, trained: Path, capsys: Any) -> None:
    kill(folder, 16, ["report", trained, *CPU, "-o", "page"], capsys, resumes=False)


def test_reproduce(folder: Path, sounds: Path, tmp_path: Path, capsys: Any) -> None:
    study = tmp_path / "study.toml"
    study.write_text(STUDY)
    inputs = folder.with_name("work.inputs")
    (inputs / "data").mkdir(parents=True)
    for path in sounds.iterdir():
        (inputs / "data" / path.name).symlink_to(path)
    kill(folder, 16, ["reproduce", study, *CPU], capsys)
