"""`mscol cache` on folders of vectors that were made by hand."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mscol_cli.app import run
from mscol_cli.cache.folder import USED, in_use
from mscol_cli.cache.listing import _last_used
from mscol_cli.cache.prune import _remove
from mscol_cli.vectors import FileVersion, VectorFolder, VectorHeader, VectorWriter

DAY = 86_400


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The embeddings of two models, `new@1` and `old@2`, which was used 40 days ago."""
    monkeypatch.setenv("MSCOL_CACHE", str(tmp_path / "cache"))
    root = tmp_path / "cache" / "vectors"
    (tmp_path / "a.wav").write_text("")
    version = FileVersion.of(tmp_path / "a.wav")
    assert version is not None
    for name, digest in (("new", "1a" * 32), ("old", "2b" * 32)):
        header = VectorHeader(f"{name}@1", digest, "small", 16000, 16000, 16000, "rms", dim=3)
        with in_use(root / name), VectorWriter(VectorFolder(root / name, header)) as writer:
            writer.add(version.path, version, np.ones((4, 3)))
    age(root / "old", 40)
    return root


def age(folder: Path, days: float) -> None:
    then = time.time() - days * DAY
    for path in (*folder.iterdir(), folder):
        os.utime(path, (then, then))


def names(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir())


def test_the_list_has_every_model_and_the_total(
    cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["cache", "ls", "--json"]) == 0
    listing = json.loads(capsys.readouterr().out)
    assert [model["model"] for model in listing["models"]] == ["new@1", "old@1"]
    first = listing["models"][0]
    assert (first["files"], first["vectors"], first["encoder"]) == (1, 4, "small")
    size = sum(path.stat().st_size for path in cache.rglob("*") if path.is_file())
    assert listing["bytes"] == size == sum(model["bytes"] for model in listing["models"])
    assert run(["cache", "ls"]) == 0
    out = capsys.readouterr().out
    assert all(text in out for text in ("new@1", "1a1a1a1a1a1a", str(cache)))


def test_a_missing_cache_is_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MSCOL_CACHE", str(tmp_path / "none"))
    assert run(["cache", "ls"]) == run(["cache", "prune"]) == 0
    assert "0 bytes" in capsys.readouterr().out
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("options", "left"),
    [
        ([], ["new", "old"]),
        (["--older-than", "30d"], ["new"]),
        (["--older-than", "8w"], ["new", "old"]),
        (["--model", "new@1"], ["old"]),
        (["--model", "2b2b"], ["new"]),
        (["--model", "small", "--older-than", "30d"], ["new"]),
        (["--all"], []),
        (["--all", "--dry-run"], ["new", "old"]),
    ],
)
def test_only_chosen_models_are_removed(cache: Path, options: list[str], left: list[str]) -> None:
    assert run(["cache", "prune", *options]) == 0
    assert names(cache) == left


def test_unreadable_unused_and_half_removed_folders_are_removed(
    cache: Path, tmp_path: Path
) -> None:
    for name in ("another-layout", ".removed-x"):
        (cache / name).mkdir()
        (cache / name / "vectors.json").write_text('{"layout": "mscol-vectors 1"}')
    assert run(["cache", "prune"]) == 0
    assert names(cache) == ["new", "old"]
    (tmp_path / "a.wav").unlink()
    assert run(["cache", "prune"]) == 0
    assert names(cache) == []


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="the system lists no open files")
def test_no_file_of_a_folder_is_open_while_it_is_removed(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NFS keeps such a file under another name, and the folder with it."""
    remove = shutil.rmtree
    still_open: list[str] = []

    def watch(folder: Path) -> None:
        targets = [os.path.realpath(link) for link in Path("/proc/self/fd").iterdir()]
        still_open.extend(path for path in targets if path.startswith(f"{folder}/"))
        remove(folder)

    monkeypatch.setattr(shutil, "rmtree", watch)
    assert run(["cache", "prune", "--all"]) == 0
    assert names(cache) == still_open == []


def test_a_folder_that_another_process_removes_is_no_error(cache: Path) -> None:
    for folder in (cache / "gone", cache / ".removed-gone"):
        assert _last_used(folder) == 0.0
        assert _remove(folder, dry_run=False)


def test_a_dry_run_changes_nothing(cache: Path) -> None:
    (cache / "old" / USED).unlink()
    age(cache / "old", 40)
    before = {path: path.stat().st_mtime_ns for path in cache.rglob("*")}
    assert run(["cache", "prune", "--older-than", "30d", "--dry-run"]) == 0
    assert {path: path.stat().st_mtime_ns for path in cache.rglob("*")} == before


def test_a_folder_in_use_by_another_process_is_kept(
    cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = (
        "import sys; from pathlib import Path; from mscol_cli.cache.folder import in_use\n"
        "with in_use(Path(sys.argv[1])):\n    print(flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(cache / "new")]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as user:
        assert user.stdout is not None
        user.stdout.readline()
        assert run(["cache", "prune", "--all"]) == 0
        assert names(cache) == ["new"]
        assert "in use by another process" in capsys.readouterr().err
        user.communicate(b"")
    assert run(["cache", "prune", "--all"]) == 0
    assert names(cache) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model", "none"], "no model 'none'"),
        (["--older-than", "soon"], "not 'soon'"),
        (["--all", "--model", "new@1"], "leave out --model"),
    ],
)
def test_a_wrong_choice_is_a_usage_error(
    cache: Path, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["cache", "prune", *options]) == 2
    assert message in capsys.readouterr().err
    assert names(cache) == ["new", "old"]
