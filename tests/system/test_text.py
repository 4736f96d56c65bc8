"""Names from data cannot command a terminal, reorder a line, or become formulas."""

import pytest

from mscol_cli.commands.progress import TerminalProgress
from mscol_cli.commands.terminal import print_error, print_lines, print_table
from mscol_cli.system.text import csv_cell, from_csv_cell, visible

Capture = pytest.CaptureFixture[str]
HOSTILE = "a\x1b[2Jb\x07\x9bc\u202ed\u2066e\rf\x7f"
SHOWN = r"a\x1b[2Jb\x07\x9bc\u202ed\u2066e\rf\x7f"


def test_control_characters_and_marks_of_direction_are_escaped() -> None:
    assert visible(HOSTILE) == SHOWN
    assert visible("naïve 音楽 👩\u200d🎤.wav\ttab") == "naïve 音楽 👩\u200d🎤.wav\ttab"
    assert visible("\udce9") == r"\udce9"


@pytest.mark.parametrize("terminal", [False, True])
def test_every_way_to_the_terminal_escapes(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    if terminal:
        monkeypatch.setattr("mscol_cli.commands.terminal.terminal_width", lambda: 80)
    print_lines(HOSTILE)
    print_table(("name",), [(HOSTILE,)])
    print_error(HOSTILE)
    with TerminalProgress() as progress:
        progress.note(HOSTILE)
        progress.warn(HOSTILE)
    captured = capsys.readouterr()
    for text in (captured.out, captured.err):
        assert r"\u202e" in text
        assert not {"\x1b", "\x07", "\x9b", "\u202e", "\u2066", "\r", "\x7f"} & {*text}


def test_a_name_with_colons_is_no_emoji(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mscol_cli.commands.terminal.terminal_width", lambda: 80)
    print_table(("name",), [("a:guitar:b",)])
    print_error("a:guitar:b")
    captured = capsys.readouterr()
    assert "a:guitar:b" in captured.out
    assert "a:guitar:b" in captured.err


@pytest.mark.parametrize("text", ["=1+1", "+a", "-a", "@a", "\ta", "plain", "'quoted", "'=", ""])
def test_cells_are_no_formulas_and_can_be_read_back(text: str) -> None:
    cell = csv_cell(text)
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
    if text != "'=":
        assert from_csv_cell(cell) == text
