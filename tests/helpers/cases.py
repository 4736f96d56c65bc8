"""Commands that are killed, or whose disk fails, with small inputs: built from fixtures by name."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mscol_cli.engine.models import build_encoder, build_objective
from mscol_cli.host import find_objective, find_part, load_registry
from tests.conftest import run_in
from tests.helpers.audio import tones, write_audio
from tests.helpers.downloads import make_tar, make_zip, remote
from tests.helpers.folders import write_vectors
from tests.helpers.tensorflow import published_variables, write_checkpoint

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
Fixture = Callable[[str], Any]
LONG_FORM = [
    pytest.mark.slow,
    pytest.mark.processes,
    pytest.mark.timeout(3600),
    pytest.mark.skipif("MSCOL_ALL_EDITS" not in os.environ, reason="set MSCOL_ALL_EDITS=1"),
]
"""Marks of tests that run for minutes, only if asked for."""


@dataclass(frozen=True)
class Case:
    """A command that runs in a folder `work` of the test.

    Attributes:
        line: The command line.
        inputs: What it reads, a folder.
        verify: Command line that checks the result; may be empty.
        kept: Patterns of the files that, once finished, must not be written again; results of a
            moment may.
        timed: Patterns of files that hold how long a step took, which no two runs share.
        last: Another exit code that is right if the result was there already.
    """

    line: Sequence[object]
    inputs: Path
    verify: str = ""
    kept: tuple[str, ...] = ("*",)
    timed: tuple[str, ...] = ()
    last: int = 0


def sounds(folder: Path) -> Path:
    """A task of two classes, and four songs."""
    for number in range(4):
        write_audio(folder / "data" / "music" / f"{number}.wav", tones(5.0, seed=number))
    for name, seeds in {"low": range(8), "high": range(8, 16)}.items():
        for seed in seeds:
            write_audio(folder / "data/folder" / name / f"{seed}.wav", tones(1.5, seed=seed))
    return folder / "data"


def separate(fixture: Fixture) -> Case:
    stems = fixture("collection").stems
    return Case(["separate", stems, "--separator", "stems", "-o", "s"], stems, "store verify s")


def pretrain(fixture: Fixture) -> Case:
    store, options = fixture("store"), ["--save-every", 1, "--keep-last", 2, "--resume"]
    line = ["pretrain", store, "--objective", "mws", *SMALL, *options, "-o", "run"]
    return Case(line, store, "runs verify run")


def embed(fixture: Fixture) -> Case:
    data = sounds(fixture("tmp_path"))
    line = ["embed", data / "folder", "--model", fixture("trained"), *CPU, "-o", "v"]
    return Case(line, data, "vectors verify v")


def vectors(suffix: str) -> Callable[[Fixture], Case]:
    def build(fixture: Fixture) -> Case:
        rows = {f"{number}.wav": [[float(number), 1.0, 2.0]] * 40 for number in range(3000)}
        path = write_vectors(fixture("tmp_path") / "vectors", rows)
        return Case(["vectors", "export", path, "-o", f"v.{suffix}"], path, kept=())

    return build


def draw_map(fixture: Fixture) -> Case:
    rows = {f"{number}.wav": [float(number), 1.0, 2.0] for number in range(100)}
    path = write_vectors(fixture("tmp_path") / "vectors", rows)
    return Case(["map", path, "--clusters", 2, "-o", "map.html"], path, kept=())


def probe(fixture: Fixture) -> Case:
    data = sounds(fixture("tmp_path"))
    options = ["--model", fixture("trained"), "--seeds", 2, "--protocol", "epochs=3", "--save"]
    line = ["probe", "folder", "--data", data / "folder", *options, *CPU, "-o", "p"]
    return Case(line, data, kept=("cache/*",))


def tag(fixture: Fixture) -> Case:
    root = fixture("tmp_path")
    line = [*probe(fixture).line]
    run_in(root, [*line[:-1], "head"])
    line = ["tag", root / "data" / "music", "--head", root / "head", *CPU, "-o", "tags.csv"]
    return Case(line, root / "data", kept=())


def import_checkpoint(fixture: Fixture) -> Case:
    registry, folder = load_registry(), fixture("tmp_path") / "tf"
    encoder = build_encoder(find_part(registry, "encoder", "efficientnet_b0"), seed=1)
    objective = build_objective(find_objective(registry, "msa"), encoder, seed=1)
    variables = published_variables(encoder, objective, 10)
    index = write_checkpoint(folder / "checkpoint-1", variables)
    return Case(["import", index, "-o", "model"], folder, "runs verify model", last=2)


def export(fixture: Fixture) -> Case:
    run = fixture("trained")
    return Case(["export", run, "-o", "new/small.onnx"], run, kept=())


def store_export(fixture: Fixture) -> Case:
    store = fixture("store")
    line = ["store", "export", store, "--all", "--source", "vocals", "-o", "audio"]
    return Case(line, store, kept=())


def download(fixture: Fixture) -> Case:
    server, root = fixture("server"), fixture("tmp_path")
    server.pause = 0.02
    music = os.urandom(300_000)
    tar = make_tar({f"notes/{number}.json": b"{}" for number in range(20)})
    files = [
        remote(server, "labels.csv", music),
        remote(server, "clips.zip", make_zip({"0/a.mp3": music, "f/b.mp3": b""}), unpack="zip"),
        remote(server, "notes.tar.gz", tar, unpack="tar.gz"),
    ]
    fixture("offer")(mine=files)
    return Case(["download", "mine"], root / "nothing")


def report(fixture: Fixture) -> Case:
    run = fixture("trained")
    return Case(["report", run, *CPU, "-o", "page"], run, kept=())


def reproduce(fixture: Fixture) -> Case:
    root = fixture("tmp_path")
    study, data = root / "study.toml", sounds(root)
    study.write_text(STUDY)
    inputs = root / "work.inputs" / "data"
    inputs.mkdir(parents=True)
    for path in data.iterdir():
        (inputs / path.name).symlink_to(path)
    kept = ("data/*", "cache/*", "*/checkpoints/*")
    return Case(["reproduce", study, *CPU], data, kept=kept, timed=("*/report/*",))


CASES: Mapping[str, Callable[[Fixture], Case]] = {
    "separate": separate,
    "pretrain": pretrain,
    "embed": embed,
    "probe": probe,
    "download": download,
    "report": report,
    "reproduce": reproduce,
    "import": import_checkpoint,
    "export": export,
    "map": draw_map,
    "tag": tag,
    "store export": store_export,
    **{f"vectors {name}": vectors(name) for name in ("npz", "csv", "safetensors", "parquet")},
}
