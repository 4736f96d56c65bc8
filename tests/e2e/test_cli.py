"""The command line itself: help, speed of start, version, errors in one line."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from functools import reduce
from pathlib import Path

import pytest

from mscol_cli.commands.progress import progress_layout
from tests.conftest import Command
from tests.helpers.commands import CLI, paths
from tests.helpers.terminal import COLUMNS, in_terminal


def test_help_answers_without_importing_torch() -> None:
    program = (
        "import sys\nfrom mscol_cli.app import run\nassert run(['--help']) == 0\n"
        "heavy = {'torch', 'numpy', 'sklearn', 'timm'} & set(sys.modules)\nassert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)


@pytest.mark.slow
def test_looking_into_a_store_does_not_import_torch(store: Path) -> None:
    program = (
        "import sys\nfrom mscol_cli.app import run\nstore = sys.argv[1]\n"
        "for name in ('info', 'ls', 'manifest', 'verify'):\n"
        "    assert run(['store', name, store]) == 0\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program, store], check=True, capture_output=True)


def test_listing_plugins_does_not_import_torch() -> None:
    program = (
        "import sys\nfrom mscol_cli.app import run\nassert run(['plugins']) == 0\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)


def test_the_installed_script_prints_its_version() -> None:
    script = Path(sys.executable).with_name("mscol")
    done = subprocess.run([script, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("mscol 0.")


@pytest.mark.parametrize("command", list(paths()), ids=" ".join)
def test_every_command_explains_itself(
    mscol: Command, command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert mscol(*command, "--help") == 0
    usage = rf"Usage: .* {' '.join(command)} \["
    assert re.search(usage, " ".join(capsys.readouterr().out.split()))


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["pretrian"], 2, "'pretrain'"),
        (["separate", "--speed"], 2, "--speed"),
        (["pretrain", "--steps", "many"], 2, "'--steps'"),
        (["pretrain"], 2, "--objective: clmr, cola, msa"),
        (["pretrain", "--objective", "msaa"], 2, "'msa'"),
        (["pretrain", "--objective", "msa"], 4, "data/"),
        (["pretrain", "--resume"], 4, "runs/latest"),
        (["pretrain", "nowhere.store", "--objective", "msa"], 4, "nowhere.store"),
        (["pretrain", "--objective", "cola", "--encoder", "smal"], 2, "'small'"),
        (["pretrain", "--objective", "cola", "--device", "gpu"], 2, "'gpu'"),
        (["pretrain", "--objective", "cola", "--steps", "-1"], 2, "--steps"),
        (["pretrain", "--objective", "cola", "--batch-size", "1"], 2, "at least 2"),
        (["pretrain", "--objective", "cola", "--lr", "-1"], 2, "--lr"),
        (["pretrain", "--objective", "cola", "--opt", "deep=1"], 2, "deep"),
        (["pretrain", "--objective", "cola", "--stems", "vocals"], 2, "stems"),
        (["pretrain", "--objective", "msa", "--opt", "silent_share=2"], 2, "at most 1"),
        (["pretrain", "--objective", "cola", "--processes", "3"], 2, "--batch-size 128"),
        (["pretrain", "--objective", "cola", "--gpus", "99"], 2, "--processes 99"),
        (["pretrain", "--objective", "cola", "--gpus", "1", "--processes", "1"], 2, "--processes"),
        (["separate", "nowhere"], 4, "nowhere"),
        (["separate", ".", "--separator", "umx"], 2, "'umx'"),
        (["embed", "nowhere"], 4, "nowhere"),
        (["embed", "x.wav", "-o", "out.xlsx"], 2, "xlsx"),
        (["probe", "mtta"], 2, "'mtat'"),
        (["probe", "fma"], 4, "data/fma"),
        (["probe", "fma", "--seeds", "0"], 2, "--seeds"),
        (["plugins", "show", "mtaa"], 2, "'mtat'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_mistake_gets_one_line_and_its_exit_code(
    mscol: Command,
    arguments: list[str],
    code: int,
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert mscol(*arguments) == code
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("error: ")
    assert captured.out == ""


def test_an_interruption_is_one_line_and_code_130(
    mscol: Command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def press_ctrl_c(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("mscol_cli.runs.listing.list_runs", press_ctrl_c)
    assert mscol("runs") == 130
    assert capsys.readouterr().err.strip() == "error: interrupted."
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank, lines in (("0", 1), ("1", 0)):  # a scheduler sends signals to all processes
        monkeypatch.setenv("RANK", rank)
        assert mscol("runs") == 130
        assert capsys.readouterr().err.count("\n") == lines


@pytest.mark.slow
@pytest.mark.processes
def test_ctrl_c_at_a_terminal_reaches_every_process_and_is_one_line(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "mscol_cli", "demo", "-o", "demo", "--songs", "60"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        assert process.stderr is not None
        while "synthesising music" not in process.stderr.readline():
            pass
        time.sleep(0.3)
        os.killpg(process.pid, signal.SIGINT)
        rest = process.stderr.read()
    assert process.returncode == 130
    assert rest == "error: interrupted.\n"


def test_a_path_that_cannot_be_used_is_named(
    mscol: Command, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "taken").write_text("")
    line = ["pretrain", store, "--objective", "cola", "--encoder", "small", "--device", "cpu"]
    assert mscol(*line, "-o", "taken/run") == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: taken/run: Not a directory")


def test_verbose_shows_the_traceback(mscol: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert mscol("--verbose", "pretrain", "--objective", "msaa") == 2
    assert "Traceback" in capsys.readouterr().err


def test_plugins_as_json_names_kind_owner_and_options(
    mscol: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mscol("plugins", "--json") == 0
    listed = json.loads(capsys.readouterr().out)
    msa = next(entry for entry in listed["plugins"] if entry["name"] == "msa")
    assert (msa["kind"], msa["owner"]) == ("objective", "mscol")
    silent_share = next(item for item in msa["options"] if item["name"] == "silent_share")
    assert silent_share["default"] == 0.5
    assert listed["failed"] == []


def test_plugins_show_prints_every_option_with_its_help(
    mscol: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mscol("plugins", "show", "random-mask") == 0
    shown = capsys.readouterr().out
    assert "keep=0.25" in shown
    assert "at most 0.99" in shown


def test_help_states_defaults(
    mscol: Command, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    assert mscol("pretrain", "--help") == 0
    assert "[default: efficientnet_b0]" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("command", "panels"),
    [
        ("pretrain", ["Data", "Objective and encoder", "Training", "Checkpoints and evaluation"]),
        ("probe", ["Data and models", "Classifiers", "Additional scores", "Processes and devices"]),
        ("separate", ["Separator", "Output", "Processes and devices"]),
    ],
)
def test_a_long_help_is_grouped(
    mscol: Command, command: str, panels: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert mscol(command, "--help") == 0
    page = capsys.readouterr().out
    assert all(re.search(rf"─ {title} ─", page) for title in panels)
    assert "--help" in re.split(r"─ Options ─", page)[1].split("╰")[0]
    assert "--json" not in re.split(r"─ Options ─", page)[1].split("╰")[0]


def test_help_shows_placeholders(
    mscol: Command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    assert mscol("pretrain", "--help") == 0
    assert "[default: runs/OBJECTIVE-ENCODER-N]" in capsys.readouterr().out


def test_no_help_text_holds_what_markdown_takes_for_html() -> None:
    for words in [(), *paths()]:
        command = reduce(lambda group, name: group.commands[name], words, CLI)
        texts = [command.help or "", *(getattr(item, "help", "") or "" for item in command.params)]
        assert not any("<" in text for text in texts), command.name


@pytest.mark.slow
def test_a_terminal_of_80_columns_shows_lines_folded_at_words(tmp_path: Path) -> None:
    lines = in_terminal("plugins", "show", "msa", cwd=tmp_path)
    assert max(map(len, lines)) <= COLUMNS
    assert "(at least 0.0)" in " ".join(" ".join(lines).split())
    path = "a" * 30 + "/" + "b" * 60
    lines = in_terminal("embed", "x", "--model", "y", "-o", f"{path}.txt", cwd=tmp_path)
    assert any(f"{path}.txt" in line for line in lines)
    assert max(len(line) for line in lines if path not in line) <= COLUMNS
    assert ".npz, .csv, .safetensors" in " ".join(" ".join(lines).split())


def test_lists_are_one_line_a_row_in_a_pipe(
    mscol: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mscol("plugins") == 0
    lines = capsys.readouterr().out.splitlines()
    (line,) = [line for line in lines if "EfficientNet-B0" in line]
    assert re.search("1280 dimensions, as published +mscol ", line)


@pytest.mark.parametrize("width", [40, 60, 80, 120])
@pytest.mark.parametrize("title", ["separating", "fine-tuning, seed 3", "online probe: valid"])
def test_a_progress_bar_fits_its_terminal(title: str, width: int) -> None:
    layout = progress_layout(title, 1000, "tracks", width)
    parts = [len(title), len("1000/1000"), len("0:00:00")]
    parts += [layout.bar] if layout.bar else []
    parts += [len("12,345.6 tracks/s")] if layout.rate else []
    parts += [len("0:00:00")] if layout.elapsed else []
    assert sum(parts) + len(parts) - 1 + (1 + layout.fields if layout.fields else 0) <= width
    assert layout.rate == (width >= 80) or title == "separating"
