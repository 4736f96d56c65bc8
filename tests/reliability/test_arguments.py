"""Empty arguments are refused before a command is chosen."""

from pathlib import Path

import pytest

from tests.conftest import Command

Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize("command", [("embed",), ("store", "export"), ("runs",)])
@pytest.mark.parametrize(
    ("arguments", "name"),
    [(["-o", ""], "-o"), (["--output="], "--output"), ([""], "an argument"), (["--", ""], "an")],
)
def test_an_empty_argument_is_refused_and_nothing_is_written(
    mscol: Command,
    command: tuple[str, ...],
    arguments: list[str],
    name: str,
    tmp_path: Path,
    capsys: Capture,
) -> None:
    assert mscol(*command, *arguments) == 2
    assert capsys.readouterr().err.startswith(f"error: {name}")
    assert [*tmp_path.iterdir()] == []


def test_an_empty_value_of_a_key_is_one(mscol: Command, capsys: Capture) -> None:
    assert mscol("separate", "none", "--opt", "targets=", "--opt=targets=", "-o", "s") != 0
    assert "is empty" not in capsys.readouterr().err
