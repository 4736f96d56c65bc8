"""From `build` on a card to a part: named as `package.module:Class`, or given itself."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mscol_cli.api import Importer, NoOptions, Separator, SeparatorContext, Task
from mscol_cli.host import Entry, Part
from mscol_cli.host.building import build_part
from mscol_cli.host.registry import KINDS, Kind
from tests.conftest import Command
from tests.helpers.audio import tones, write_audio
from tests.helpers.plugins import WHOLE, install_plugin

COUNTED = """
import os
from mscol_cli.api import SeparatorCard, hookimpl

@hookimpl
def mscol_separators():
    with open(os.environ["HOOK_CALLS"], "a") as calls:
        calls.write("called\\n")
    return [SeparatorCard("counted", "nothing", "mine:Halves")]
"""
NAMED = """
from mscol_cli.api import SeparatorCard, hookimpl

@hookimpl
def mscol_separators():
    return [SeparatorCard("halves", "twice the half", "{build}")]
"""
WRITES = """
def counted(method):
    def init(self):
        with open(os.environ["BUILT"], "a") as built:
            built.write(type(self).__name__ + " ")
        method(self)
    return init

Net.__init__, Pretext.__init__ = counted(Net.__init__), counted(Pretext.__init__)
"""
PARTS = """
from mscol_cli.api import MIXTURE, Separator

nothing = None

class Halves(Separator):
    sources = ("low",)

    def __init__(self, options, context):
        self.device = context.device

    def separate(self, audio):
        return {MIXTURE: audio[MIXTURE], "low": audio[MIXTURE] / 2}
"""


@pytest.fixture
def music(tmp_path: Path) -> Path:
    """A folder with one file."""
    write_audio(tmp_path / "music" / "a.wav", tones(2))
    return tmp_path / "music"


def install(build: str, parts: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plugin whose card names `build`, and the module `parts` beside it."""
    (folder / "parts.py").write_text(parts, encoding="utf-8")
    monkeypatch.delitem(sys.modules, "parts", raising=False)  # of an earlier test
    monkeypatch.syspath_prepend(str(folder))
    install_plugin("mine", NAMED.format(build=build), folder / "site", monkeypatch)


def test_a_class_that_a_card_names_is_called_with_options_and_context(
    mscol: Command, tmp_path: Path, music: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("parts:Halves", PARTS, tmp_path, monkeypatch)
    assert mscol("separate", music, "--separator", "halves", "--device", "cpu") == 0


@pytest.mark.parametrize(
    ("kind", "base", "context"),
    [
        ("separator", Separator, SeparatorContext()),
        ("task", Task, None),
        ("importer", Importer, None),
    ],
)
def test_a_part_without_options_needs_no_constructor(
    kind: Kind, base: type, context: object
) -> None:
    methods = dict.fromkeys(base.__abstractmethods__, lambda *_: None)  # type: ignore[attr-defined]
    card = KINDS[kind]("plain", "a part", type("Plain", (base,), methods))
    part = Part(Entry(kind, card, "mine", "1"), NoOptions())
    build_part(part, base, *([context] if context else []))


def test_a_function_on_a_card_still_builds(
    mscol: Command, tmp_path: Path, music: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_plugin("mine", WHOLE, tmp_path / "site", monkeypatch)
    assert mscol("separate", music, "--separator", "halves", "--device", "cpu") == 0


@pytest.mark.parametrize(
    ("build", "parts", "code", "message"),
    [
        ("no_such.module:Halves", PARTS, 2, "builds 'no_such.module:Halves', but No module named"),
        ("parts:Quarters", PARTS, 2, "has no attribute 'Quarters'"),
        ("parts:nothing", PARTS, 2, "which is None, not a class"),
        ("parts:Halves", "import no_such_library", 1, "build: ModuleNotFoundError: No module"),
    ],
)
def test_a_path_that_leads_nowhere_names_the_card_and_its_plugin(
    mscol: Command,
    tmp_path: Path,
    music: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    build: str,
    parts: str,
    code: int,
    message: str,
) -> None:
    install(build, parts, tmp_path, monkeypatch)
    assert mscol("separate", music, "--separator", "halves", "--device", "cpu") == code
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("error: separator 'halves' (mine 1): ")
    assert message in line


def test_a_hook_is_called_once_for_one_command(
    mscol: Command, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = tmp_path / "calls"
    monkeypatch.setenv("HOOK_CALLS", str(calls))
    install_plugin("mine", COUNTED, tmp_path / "site", monkeypatch)
    quick = ["--encoder", "small", "--steps", 1, "--batch-size", 4, "--device", "cpu"]
    assert mscol("pretrain", store, "--objective", "cola", *quick, "-o", "run") == 0
    assert calls.read_text() == "called\n"


@pytest.mark.parametrize("resume", [False, True])
def test_pretrain_builds_each_part_once(
    mscol: Command, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resume: bool
) -> None:
    built = tmp_path / "built"
    monkeypatch.setenv("BUILT", str(built))
    install_plugin("mine", WHOLE + WRITES, tmp_path / "site", monkeypatch)
    start = ["--objective", "pretext", "--encoder", "net", "--batch-size", 4, "--device", "cpu"]
    assert mscol("pretrain", store, *start, "--steps", 1, "-o", "run") == 0
    if resume:
        built.unlink()
        assert mscol("pretrain", "--resume", "--steps", 2, "-o", "run") == 0
    assert built.read_text().split() == ["Net", "Pretext"]
