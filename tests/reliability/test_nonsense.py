"""Nonsense in place of every option and argument: one line and an exit code, never a traceback."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from mscol_cli.app import run as run_app
from mscol_cli.errors import EXIT_CODES
from mscol_cli.synthetic import Collection
from tests.conftest import run_in
from tests.helpers.audio import tones, write_audio
from tests.helpers.commands import CLI, paths
from tests.helpers.counts import UNEXPECTED, check, sample

pytestmark = pytest.mark.slow
Capture = pytest.CaptureFixture[str]
Values = Mapping[str, Sequence[object]]
LIMIT_S = 30
NUMBERS = ("-1", "0", "1e400", "nan", "-inf", "99999999999999999999", "0x10", "1.5", "1e-320", "٣")
TEXTS = (
    *("x", "-", "--", "--x=", "{}", "[1", "a=b", "=", ",", "a,b", "%s%n", "$(id)", "'", '"'),
    *("../../x", "/proc/self/mem", "/proc/none/x", "con", "~", ".", "taken", "taken/x"),
    *("\x1b[2J", "\u202ereversed", "two\nlines", "\udce9", "\U0001f3b5", "x" * 5000, "<b>&amp;"),
)
WORDS = ("x", "-1", "=x")
PIPE = "pipe"
PIPES = ("inputs", "queries", "output", "run", "export_dir")
"""Parameters that may name a pipe: audio, which is never opened then, and outputs. Reading other
files from a pipe waits for its writer, as every program does."""
CONTROLS = re.compile(r"[\x1b\u202e\x07]")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, so deep that `../..` stays in the folder of the test."""
    folder = tmp_path / "a" / "b" / "c"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("MSCOL_OFFLINE", "1")
    (folder / "taken").write_text("a file")
    os.mkfifo(folder / PIPE)
    return folder


@pytest.fixture
def sensible(folder: Path, store: Path, trained: Path, collection: Collection) -> Any:
    """Values of parameters by command: work of a moment, or an input that does not exist."""
    song, cpu = write_audio(folder / "song.wav", tones(2.0)), ["cpu"]
    run_in(folder, ["embed", song, "--model", trained, "--device", "cpu", "-o", "v"])
    vectors = folder / "v"
    named: dict[str, Values] = {
        "download": {"name": ["mtat"], "dry_run": []},
        "separate": {"inputs": [song], "separator": ["none"], "output": ["s.store"]},
        "pretrain": {
            "store": [store],
            "objective": ["mws"],
            "encoder": ["small"],
            "dry_run": [],
        },
        "embed": {"inputs": [song], "model": [trained], "device": cpu, "output": ["v"]},
        "similar": {"queries": [song], "folder": [vectors], "device": cpu},
        "map": {"folder": [vectors], "no_audio": [], "output": ["map.html"]},
        "probe": {
            "tasks": ["fma"],
            "data": [collection.fma],
            "models": [trained],
            "dry_run": [],
        },
        "tag": {"inputs": [song], "head": ["none"]},
        "import": {"checkpoint": ["none"], "output": ["m"]},
        "push": {
            "run": [trained],
            "repository": ["hf:me/model"],
            "license": ["mit"],
            "dry_run": [],
            "output": ["taken"],
        },
        "export": {"model": ["none"]},
        "report": {"runs": ["none"], "output": ["page"]},
        "reproduce": {"study": ["demo"], "dry_run": []},
        "demo": {"output": ["taken/demo"], "songs": [0]},
        "worker": {"run": ["none"]},
        "store export": {
            "path": [store],
            "every": [],
            "source": ["vocals"],
            "output": ["audio"],
        },
        "vectors export": {"path": [vectors], "output": ["v.csv"]},
        "runs compare": {"names": [trained]},
        "runs plot": {"runs": [trained], "output": ["taken/curves.png"]},
        "plugins show": {"name": ["msa"]},
        "recipes show": {"name": ["smc23"]},
        **{f"store {word}": {"path": [store]} for word in ("info", "ls", "manifest", "verify")},
        **{f"vectors {word}": {"path": [vectors]} for word in ("info", "ls", "verify")},
        **{f"runs {word}": {"name": [trained]} for word in ("show", "verify")},
    }
    return named


def commands() -> Iterator[tuple[str, Any]]:
    """Every command, and every group that is one itself."""
    for words in paths():
        command = CLI
        for word in words:
            command = command.commands[word]
        if not hasattr(command, "commands") or command.params[:-1]:
            yield " ".join(words), command


def parameters(command: Any) -> list[Any]:
    return [item for item in command.params if item.name != "help"]


def line(name: str, command: Any, values: Values) -> list[str]:
    """The command line of a command with these values, by parameter."""
    words: list[object] = [*name.split()]
    for item in parameters(command):
        if item.name in values:
            option = item.param_type_name == "option"
            words += [*([item.opts[-1]] if option else []), *values[item.name]]
    return [str(word) for word in words]


def nonsense(item: Any) -> Sequence[str]:
    """Values for a parameter."""
    if getattr(item, "is_flag", False):
        return ()
    return (*NUMBERS, *TEXTS, *([PIPE] if item.name in PIPES else []))


def lines(sensible: Mapping[str, Values]) -> Iterator[list[str]]:
    """Every command line of the matrix."""
    for name, command in commands():
        values = sensible.get(name, {})
        usual = line(name, command, values)
        yield [*usual, "--nonsense"]
        yield [*usual, "one", "more", "word"]
        if name != "demo":  # which works for minutes
            yield name.split()
        for item in parameters(command):
            if item.param_type_name == "option":
                yield [*usual, item.opts[-1]]
                yield from ([*usual, f"{item.opts[-1]}={word}"] for word in WORDS)
            for value in nonsense(item):
                given = [value] * max(1, item.nargs)
                yield line(name, command, {**values, item.name: given})


def test_numbers_that_would_fill_the_machine_are_refused(
    folder: Path, store: Path, capsys: Capture
) -> None:
    song = write_audio(folder / "song.wav", tones(1.0))
    work = ["separate", song, "--separator", "none", "-o", "a.store", "--jobs", 10**6]
    train = ["pretrain", store, "--objective", "mws", "--encoder", "small", "--batch-size", 10**20]
    for arguments, option in ((work, "--jobs"), ([*train, "--dry-run"], "--batch-size")):
        assert run_app([*map(str, arguments)]) == 2
        assert option in capsys.readouterr().err


def too_long(_number: int, _frame: object) -> None:
    raise TimeoutError(f"more than {LIMIT_S} s")


@pytest.mark.timeout(7200)  # for all of them
def test_every_option_of_every_command(
    sensible: Mapping[str, Values], folder: Path, capsys: Capture
) -> None:
    every = list(lines(sensible))
    assert len(every) > 4000
    chosen = sample(every, 100)
    wrong = []
    signal.signal(signal.SIGALRM, too_long)
    for arguments in chosen:
        begun = time.monotonic()
        signal.alarm(LIMIT_S)
        code = run_app(arguments)
        signal.alarm(0)
        printed = capsys.readouterr()
        bad = code not in EXIT_CODES or UNEXPECTED.search(printed.err)
        bad = bad or "Traceback" in printed.err or CONTROLS.search(printed.err + printed.out)
        if bad or time.monotonic() - begun >= LIMIT_S:
            wrong.append(([word[-60:] for word in arguments], code, printed.err[-200:]))
    assert (folder / PIPE).is_fifo()
    check("command lines", len(chosen), wrong, capsys)
