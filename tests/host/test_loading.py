"""Plugins that fail to load, or print while they do: each costs only itself, and says why."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import Command
from tests.helpers.audio import tones, write_audio
from tests.helpers.command import run_mscol
from tests.helpers.messages import mentions
from tests.helpers.plugins import install_plugin, write_plugin

CARD = """
from dataclasses import dataclass
from mscol_cli.api import NoOptions, TaskCard, hookimpl, option

def cards(name="fine", options=NoOptions):
    return [TaskCard(name, "a task", lambda options: None, options)]
"""
FINE = f"{CARD}@hookimpl\ndef mscol_tasks(): return cards()"
LOUD = "import os\nprint('printed')\nos.system('echo by another process')\nos.write(1, b'bytes')\n"
VANDAL = "import os, sys\nos.chdir('/')\nsys.stdout.close()\nsys.stderr.close()\n"
THIEF = "import os, sys\nsys.stdout = sys.stderr = open(os.devnull, 'w')\n"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Plugins with side effects, beside one without, and a file to separate."""
    folder = tmp_path_factory.mktemp("site")
    write_plugin("leaves", "import sys\nsys.exit(3)", folder)
    write_plugin("loud", LOUD + FINE.replace('"fine"', '"loud"'), folder)
    write_plugin("thief", THIEF + FINE.replace('"fine"', '"thief"'), folder)
    write_plugin("vandal", VANDAL + FINE.replace('"fine"', '"vandal"'), folder)
    write_plugin("fine", FINE, folder)
    write_audio(folder / "music" / "a.wav", tones(2))
    return folder


@pytest.mark.parametrize(
    "command",
    ["plugins", pytest.param("separate music --separator none", marks=pytest.mark.slow)],
)
def test_what_plugins_do_when_imported_leaves_json_alone(site: Path, command: str) -> None:
    done = run_mscol(*command.split(), "--json", folder=site, PYTHONPATH=str(site))
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    for printed in (b"printed", b"by another process", b"bytes"):
        assert printed in done.stderr
    if command == "plugins":
        failed = [(one["plugin"], one["reason"]) for one in result["failed"]]
        assert failed == [("leaves", "it called sys.exit(3)")]
        assert {"fine", "loud", "thief", "vandal", "msa"} <= {
            one["name"] for one in result["plugins"]
        }


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import sys\nsys.exit('no licence')", "sys.exit('no licence')"),
        ("class Odd(BaseException): pass\nraise Odd('x')", "Odd: x"),
        (f"{CARD}def mscol_tasks(): return cards()", "mine defines mscol_tasks without @hookimpl"),
        ("import json", "mine offers no hook: define one of mscol_objectives, mscol_encoders"),
        (f"{CARD}@hookimpl\ndef mscol_task(): return cards()", "unknown hook 'mscol_task'"),
        (f"{CARD}@hookimpl\ndef mscol_tasks(): pass", "hook mscol_tasks returned None, not a list"),
        (f"{CARD}@hookimpl\ndef mscol_tasks(): 1 / 0", "ZeroDivisionError: division by zero"),
        (f"{CARD}@hookimpl\ndef mscol_encoders(): return cards()", "EncoderCard"),
        (f"{CARD}@hookimpl\ndef mscol_tasks(): return cards('a/b')", "a card is named 'a/b'"),
        (
            FINE.replace("lambda options: None", "'mine.Task'"),
            "build of card 'fine' is 'mine.Task', neither 'package.module:Class' nor a function",
        ),
        (
            "from mscol_cli.api import ObjectiveCard, hookimpl\n@hookimpl\ndef mscol_objectives():"
            "\n    return [ObjectiveCard('x', 'y', 'mine:X', sources_option='stems')]",
            "sources_option of card 'x' is 'stems', which is not an option annotated as tuple",
        ),
        (
            f"{CARD}@dataclass\nclass Bare:\n    size: int = 1\n"
            "@hookimpl\ndef mscol_tasks(): return cards(options=Bare)",
            "option size of card 'fine'",
        ),
        (
            f"{CARD}@dataclass\nclass Listed:\n    sizes: list[int] = option((), 'some')\n"
            "@hookimpl\ndef mscol_tasks(): return cards(options=Listed)",
            "option sizes of card 'fine'",
        ),
        *(
            (
                f"{CARD}@dataclass\nclass Wrong:\n    size: {declared}\n"
                "@hookimpl\ndef mscol_tasks(): return cards(options=Wrong)",
                f"option size of card 'fine' has a default that its rules refuse: it {problem}",
            )
            for declared, problem in (
                ("float = option(None, 'some')", "takes a number, not None"),
                ("str = option(None, 'some')", "takes text, not None"),
                ("int = option(0, 'some', minimum=1)", "must be at least 1, not 0"),
            )
        ),
        *(
            (
                f"{CARD}@dataclass\nclass Wrong:\n    size: {declared}\n"
                "@hookimpl\ndef mscol_tasks(): return cards(options=Wrong)",
                problem,
            )
            for declared, problem in (
                (
                    "int = option(2, 'some', choices=(1, 2))",
                    "option size of card 'fine' has the choices (1, 2), and only a text",
                ),
                (
                    "str = option('a', 'some', choices='abc')",
                    "option size of card 'fine' has the choices 'abc'",
                ),
                (
                    "tuple[str, ...] = option((), 'some', minimum=1)",
                    "option size of card 'fine' has the bounds [1], and only a number",
                ),
                ("'Path' = option(2, 'some')", "options of card 'fine' have an error: NameError"),
                (
                    "int = option(2, 'some')\n    def __post_init__(self): raise ValueError('no')",
                    "options of card 'fine': ValueError: no",
                ),
            )
        ),
        *(
            (
                "from mscol_cli.api import EncoderCard, hookimpl\n@hookimpl\ndef mscol_encoders():"
                f"\n    return [EncoderCard('{name}', 'y', 'mine:X')]",
                f"an encoder is named '{name}'",
            )
            for name in ("mini", "untrained", "hf:x")
        ),
        (FINE.replace('"a task"', "None"), "summary of card 'fine' is None, not a text"),
    ],
)
def test_a_plugin_that_fails_to_load_is_listed_with_its_reason(
    mscol: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    code: str,
    reason: str,
) -> None:
    install_plugin("mine", code, tmp_path / "site", monkeypatch)
    assert mscol("plugins") == 0
    captured = capsys.readouterr()
    assert mentions(captured.err, "warning: ", "plugin 'mine' of mine 1")
    assert reason in captured.err
    assert "efficientnet_b0" in captured.out


@pytest.mark.parametrize(
    "command",
    [
        "pretrain --objective foo",
        "embed music --model untrained --encoder foo",
        "separate music --separator foo",
        "probe foo",
        "import music/a.wav --format foo -o model",
        "plugins show foo",
    ],
)
def test_an_unknown_name_may_be_that_of_a_plugin_that_failed_to_load(
    mscol: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
) -> None:
    install_plugin("mine", "import no_such_module", tmp_path / "site", monkeypatch)
    write_audio(tmp_path / "music" / "a.wav", tones(2))
    assert mscol(*command.split()) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert "'foo'" in line
    assert mentions(line, "plugin 'mine' of mine 1", "ModuleNotFoundError")
