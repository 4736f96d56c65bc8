"""`--json`: one document on stdout, the result or the error, as the schema in docs describes it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from docs import schema
from docs.generate import commands
from mscol_cli.commands.json_output import VERSION
from mscol_cli.synthetic import Collection
from tests.conftest import Command
from tests.helpers.schema import problems

Capture = pytest.CaptureFixture[str]
SCHEMA = schema.schema()
DEVICE = ("--device", "cpu")


@pytest.fixture
def document(mscol: Command, capsys: Capture) -> Callable[..., Any]:
    """Run a command with `--json`; returns its document, which must conform to its schema."""

    def execute(*arguments: object, code: int = 0) -> Any:
        assert mscol(*arguments, "--json") == code
        content = json.loads(capsys.readouterr().out)
        name, _, version = content["schema"].partition("/")
        assert int(version) == VERSION
        assert list(problems(SCHEMA["$defs"][name], content, SCHEMA)) == []
        return content

    return execute


def test_the_schema_in_the_documents_is_that_of_the_code() -> None:
    assert schema.FILE.read_text(encoding="utf-8") == schema.text(), "run: python docs/generate.py"


def test_every_command_with_json_has_a_schema() -> None:
    with_json = {
        name
        for name, command in commands().items()
        if any("--json" in option.opts for option in command.params)
    }
    assert with_json == set(schema.RESULTS)


@pytest.mark.parametrize(
    "arguments",
    [
        ("plugins",),
        ("plugins", "show", "small"),
        ("recipes",),
        ("recipes", "show", "smc23"),
        ("reproduce",),
        ("reproduce", "sources", "--show"),
        ("download",),
        ("download", "umxse", "--dry-run"),
        ("cache", "ls"),
        ("cache", "prune"),
    ],
    ids=" ".join,
)
def test_lists_conform(document: Callable[..., Any], arguments: Sequence[str]) -> None:
    command = " ".join(word for word in arguments[:2] if word in WORDS)
    assert document(*arguments)["schema"] == f"{command}/1"


WORDS = {word for name in schema.RESULTS for word in name.split()}


def test_stores_conform(document: Callable[..., Any], store: Path) -> None:
    for word in ("info", "ls", "manifest", "verify"):
        document("store", word, store)
    document("store", "export", store, "--all", "--source", "vocals", "-o", "audio")


def test_runs_conform(document: Callable[..., Any], trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained, tmp_path / "runs" / "a", symlinks=True)
    for arguments in (["ls"], ["show", "a"], ["compare", "a", trained], ["verify", "a"]):
        document("runs", *arguments)


@pytest.mark.slow
@pytest.mark.usefixtures("draft_pictures")
def test_work_conforms(
    document: Callable[..., Any], collection: Collection, store: Path, trained: Path, tmp_path: Path
) -> None:
    # Results of several probes go to the folder of the run, which other tests share.
    run = shutil.copytree(trained, tmp_path / "runs" / "a", symlinks=True)
    (tmp_path / "music").mkdir()
    for number, clip in enumerate(sorted(collection.mtat.rglob("*.mp3"))[:3]):
        shutil.copy(clip, tmp_path / "music" / f"{number}.mp3")
    (tmp_path / "music" / "bad.mp3").write_bytes(b"no audio")
    document("separate", "music", "--separator", "none", "--dry-run")
    separated = document("separate", "music", "--separator", "none", code=3)
    (failure,) = separated["failures"]
    assert failure["input"] == "bad"
    assert "bad.mp3" in failure["reason"]
    embedded = document("embed", "music", "--model", run, *DEVICE, "-o", "v", code=3)
    assert [item["input"] for item in embedded["failures"]] == ["bad.mp3"]
    for word in ("info", "ls", "verify"):
        document("vectors", word, "v")
    document("vectors", "export", "v", "-o", "v.csv")
    document("similar", "0.mp3", "--in", "v", *DEVICE)
    document("map", "v", "--no-audio", "--clusters", 2)
    document("pretrain", store, "--objective", "mws", "--encoder", "small", "--dry-run")
    probe = ["probe", "fma", "--data", collection.fma, "--seeds", 1, *DEVICE]
    document(*probe, "--model", run, "--dry-run")
    document(*probe, "--model", run, "-o", "p", "--save")
    document(*probe, "--model", run, "--model", "untrained", "--encoder", "small", "-o", "t")
    document("tag", "music/0.mp3", "--head", "p", "--model", run, *DEVICE)
    document("report", run, "-o", "page", "--neighbours", 0)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("embed", "none.wav", "--model", "mini"), 4, "none.wav"),
        (("runs", "show", "none"), 4, "none is not a run"),
        (("recipes", "--json", "show", "smc23"), 2, "--json comes after 'show': put it there."),
        (("separate", "--nonsense"), 2, "--nonsense"),
        (("nonsense",), 2, "nonsense"),
    ],
)
def test_an_error_is_a_document_too(
    document: Callable[..., Any], arguments: Sequence[str], code: int, message: str
) -> None:
    content = document(*arguments, code=code)
    assert (content["schema"], content["exit_code"]) == ("error/1", code)
    assert message in content["message"]


def test_the_inputs_are_in_the_error_if_none_can_be_used(
    document: Callable[..., Any], trained: Path, tmp_path: Path
) -> None:
    for name in ("a.wav", "b.wav"):
        (tmp_path / name).write_bytes(b"no audio")
    content = document("embed", "a.wav", "b.wav", "--model", trained, *DEVICE, code=1)
    assert [item["input"] for item in content["failures"]] == ["a.wav", "b.wav"]


def test_an_error_without_json_leaves_stdout_empty(mscol: Command, capsys: Capture) -> None:
    assert mscol("runs", "show", "--", "--json") == 4
    assert capsys.readouterr().out == ""
