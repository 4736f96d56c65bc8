"""`mscol similar`: queries in the folder and outside of it, and what it prints."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mscol_cli.engine.embedding import ClipEmbedding, embed_files
from mscol_cli.engine.models import resolve_model
from mscol_cli.engine.vector_header import vector_header
from mscol_cli.host import load_registry
from tests.conftest import Command
from tests.helpers.audio import tones, write_audio
from tests.helpers.folders import HEADER, write_vectors
from tests.helpers.messages import mentions

NAMES = ("disc 1/a.wav", "disc 1/b.wav", "disc 2/c.wav", "disc 2/d.wav")
SECONDS = (1.2, 3.1, 4.2, 2.2)


def make_folder(root: Path, pool: str) -> Path:
    """`music/` and its vectors by an untrained encoder."""
    for seed, (name, seconds) in enumerate(zip(NAMES, SECONDS, strict=True)):
        if not (root / "music" / name).exists():
            write_audio(root / "music" / name, tones(seconds, seed=seed))
    device = torch.device("cpu")
    model = resolve_model("untrained", "small", load_registry(), device)
    paths = [root / "music" / name for name in NAMES]
    clips = dict(zip(NAMES, embed_files(model.encoder, paths, device=device), strict=True))
    rows = {
        name: clip.windows if pool == "none" else clip.windows.mean(axis=0)
        for name, clip in clips.items()
        if isinstance(clip, ClipEmbedding)
    }
    return write_vectors(root / pool, rows, root / "music", vector_header(model, pool=pool))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("similar")
    make_folder(root, "mean")
    make_folder(root, "none")
    return root


def neighbours(
    mscol: Command, capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 0
) -> list[dict[str, Any]]:
    """The answers of the command as JSON."""
    assert mscol("similar", *arguments, "--json", "--device", "cpu") == code
    answers: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["answers"]
    return answers


def ids(answer: dict[str, Any]) -> list[str]:
    return [item["id"] for item in answer["neighbours"]]


@pytest.mark.parametrize("query", ["disc 1/a.wav", "{music}/disc 1/a.wav", "{copy}"])
def test_a_clip_of_the_folder_is_not_its_own_neighbour(
    mscol: Command, made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], query: str
) -> None:
    copy = shutil.copy(made / "music" / NAMES[0], tmp_path / "renamed.wav")
    name = query.format(music=made / "music", copy=copy)
    # Nothing is embedded: there is no such model.
    (answer,) = neighbours(mscol, capsys, name, "--in", made / "mean", "--model", "nowhere")
    assert (answer["query"], answer["id"]) == (name, NAMES[0])
    assert sorted(ids(answer)) == sorted(NAMES[1:])
    similarities = [item["similarity"] for item in answer["neighbours"]]
    assert similarities == sorted(similarities, reverse=True)


def test_another_file_is_embedded_with_the_model_of_the_folder(
    mscol: Command, made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    louder = write_audio(tmp_path / "louder.wav", 0.5 * tones(SECONDS[2], seed=2))
    (answer,) = neighbours(mscol, capsys, louder, "--in", made / "mean", "-k", 2)
    assert answer["id"] is None
    assert len(answer["neighbours"]) == 2
    best = answer["neighbours"][0]
    assert best["id"] == NAMES[2]
    assert best["path"] == str(made / "music" / NAMES[2])
    assert best["similarity"] == pytest.approx(1, abs=1e-3)
    assert best["start_s"] is None


def test_an_untrained_model_with_the_options_of_another_is_found(
    mscol: Command, made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Without runs, `untrained` has the seed and the level of the bundled model.
    assert mscol("embed", made / "music", "--model", "untrained", "-o", "v") == 0
    capsys.readouterr()
    louder = write_audio(tmp_path / "louder.wav", 0.5 * tones(SECONDS[2], seed=2))
    for options in ([], ["--model", "untrained"]):
        (answer,) = neighbours(mscol, capsys, louder, "--in", "v", *options)
        assert answer["neighbours"][0]["id"] == NAMES[2]


def test_a_changed_file_is_embedded_and_is_still_not_its_own_neighbour(
    mscol: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_folder(tmp_path, "mean")
    changed = write_audio(tmp_path / "music" / NAMES[0], 0.5 * tones(SECONDS[3], seed=3))
    (answer,) = neighbours(mscol, capsys, changed, "--in", folder)
    assert answer["id"] == NAMES[0]
    assert NAMES[0] not in ids(answer)
    assert answer["neighbours"][0]["id"] == NAMES[3]
    assert answer["neighbours"][0]["similarity"] == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("pool", ["mean", "none"])
def test_a_moment_finds_the_window_that_sounds_like_it(
    mscol: Command, made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], pool: str
) -> None:
    first, last = tones(1.0, seed=9), tones(3.2, seed=2)[:, 31360:]
    mixed = write_audio(tmp_path / "a@b.wav", np.concatenate([first, last], axis=1))
    (answer,) = neighbours(mscol, capsys, f"{mixed}@0:01", "--in", made / pool)
    assert answer["at_s"] == 1.0
    best = answer["neighbours"][0]
    assert best["id"] == NAMES[2]
    assert best["start_s"] == (None if pool == "mean" else pytest.approx(1.96))


def test_a_moment_of_a_clip_of_windows_is_its_nearest_window(
    mscol: Command, made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    query = f"{NAMES[1]}@1.1"
    (answer,) = neighbours(mscol, capsys, query, "--in", made / "none", "--model", "nowhere")
    assert NAMES[1] not in ids(answer)
    (whole,) = neighbours(mscol, capsys, NAMES[1], "--in", made / "none")
    assert whole["neighbours"] != answer["neighbours"]


@pytest.mark.parametrize(
    ("query", "facts"),
    [
        ("gone.wav", ["gone.wav", "NAME@1:23"]),
        (f"{NAMES[1]}@0:09", ["ends at 3.1 s"]),
        ("short.wav", ["0.500 s"]),
        ("broken.flac", ["broken.flac"]),
        ("pipe.wav", ["pipe.wav: is not a file", "NAME@1:23"]),
        ("x" * 300, ["is not a file", "NAME@1:23"]),
    ],
)
def test_a_query_that_cannot_be_used_is_named_and_the_others_are_answered(
    mscol: Command,
    made: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    query: str,
    facts: Sequence[str],
) -> None:
    write_audio(tmp_path / "short.wav", tones(0.5))
    (tmp_path / "broken.flac").write_bytes(b"fLaC")
    os.mkfifo(tmp_path / "pipe.wav")
    assert mscol("similar", query, "--in", made / "mean") == 1
    assert mentions(capsys.readouterr().err, *facts)
    assert mscol("similar", query, NAMES[0], "--in", made / "mean") == 3
    printed = capsys.readouterr()
    assert printed.out.startswith(f"{NAMES[0]}:\n")
    assert mentions(printed.err, *facts)


def test_each_query_has_a_block(
    mscol: Command, made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mscol("similar", *NAMES[:2], "--in", made / "none", "-k", 1) == 0
    first, second = capsys.readouterr().out.split("\n\n")
    assert first.splitlines()[0] == f"{NAMES[0]}:"
    assert first.splitlines()[1].split() == ["similarity", "start", "clip"]
    assert len(second.splitlines()) == 3


def test_the_model_is_the_one_that_made_the_folder(
    mscol: Command,
    made: Path,
    trained: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    other = write_audio(tmp_path / "other.wav", tones(1.5, seed=7))
    assert mscol("similar", other, "--in", made / "mean", "--model", trained) == 2
    assert mentions(capsys.readouterr().err, made / "mean", "untrained-small", "run@6", "--model")
    moved = write_vectors(tmp_path / "moved", {"a": [1.0, 0, 0]})
    assert mscol("similar", other, "--in", moved) == 4
    assert mentions(capsys.readouterr().err, moved, "gone@6", "--model")


def test_a_run_is_found_by_the_name_in_the_folder(
    mscol: Command, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(trained, tmp_path / "runs" / "run")
    model = resolve_model("run", None, load_registry(), torch.device("cpu"))
    header = vector_header(model, pool="mean")
    folder = write_vectors(tmp_path / "v", {"a": np.ones(header.dim)}, header=header)
    other = write_audio(tmp_path / "other.wav", tones(1.5, seed=7))
    assert mscol("similar", other, "--in", folder) == 0
    assert "runs/run/checkpoints/step-00000006" in capsys.readouterr().err


def test_stems_are_searched_by_the_id_of_their_track(
    mscol: Command, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drums = replace(HEADER, source="drums")
    vectors = {"one": [1.0, 0, 0], "two": [1.0, 0.1, 0], "three": [0.0, 1, 0]}
    folder = write_vectors(tmp_path / "drums", vectors, header=drums)
    (answer,) = neighbours(mscol, capsys, "one", "--in", folder)
    assert ids(answer) == ["two", "three"]
    assert mscol("similar", "one@0:01", "--in", folder) == 1
    assert "--pool none" in capsys.readouterr().err


def test_a_playlist_has_one_path_per_clip_whatever_its_name(
    mscol: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "music").mkdir()
    names = ("plain.wav", "two\nlines.wav", os.fsdecode(b"latin-\xe9.wav"), "# 1.wav")
    for name in names:
        (tmp_path / "music" / name).write_bytes(b"")
    vectors = {name: [1, row, 0] for row, name in enumerate(names)}
    folder = write_vectors(tmp_path / "v", {**vectors, "gone.wav": [0, 1, 0]})
    folder = write_vectors(tmp_path / "v", vectors, tmp_path / "music")
    assert mscol("similar", "plain.wav", "--in", folder, "--m3u") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["#EXTM3U", "# similar to plain.wav"]
    music = tmp_path / "music"
    assert [line for line in lines if not line.startswith("#")] == [
        f"{music.as_uri()}/two%0Alines.wav",
        f"{music.as_uri()}/latin-%E9.wav",
        f"{music}/# 1.wav",
    ]
    assert "# no file: gone.wav" in lines


@pytest.mark.parametrize(
    ("options", "code", "facts"),
    [
        (["--in", "nowhere"], 4, ["nowhere", "vectors.json"]),
        (["--in", "empty"], 4, ["empty", "mscol embed"]),
        (["--in", "v", "-k", "0"], 2, ["-k", "0"]),
        (["--in", "v", "--json", "--m3u"], 2, ["--json", "--m3u"]),
    ],
)
def test_bad_options_are_refused(
    mscol: Command,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: Sequence[str],
    code: int,
    facts: Sequence[str],
) -> None:
    write_vectors(tmp_path / "empty", {})
    write_vectors(tmp_path / "v", {"a": [1, 2, 3]})
    assert mscol("similar", "a", *options) == code
    printed = capsys.readouterr()
    assert (printed.out == "") is ("--json" not in options)
    assert mentions(printed.err, *facts)


def test_a_name_is_one_line_and_cannot_control_the_terminal(
    mscol: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["two\nlines", "\x1b[31mred", "\u202ertl"]
    folder = write_vectors(tmp_path / "v", {name: [1, row, 0] for row, name in enumerate(names)})
    for options in ((), ("--m3u",)):
        assert mscol("similar", names[0], "--in", folder, *options) == 0
        out = capsys.readouterr().out
        assert all(line.isprintable() for line in out.splitlines())
        assert out.count("lines") == 1
    assert mscol("vectors", "ls", folder) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_a_file_is_not_a_folder_of_vectors(
    mscol: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "v.npz").write_bytes(b"")
    assert mscol("similar", "a", "--in", tmp_path / "v.npz") == 4
    assert "v.npz is not a folder of vectors" in capsys.readouterr().err
