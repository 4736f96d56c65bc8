"""Output in a legacy code page: what it cannot hold is escaped, and every line is printed."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest

from tests.helpers.audio import tones, write_audio
from tests.helpers.command import run_mscol
from tests.test_floors import MODULES

TEXT_MODE = re.compile(r"[rwax]\+?t?")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with music whose names no legacy code page holds all of, and the store of it."""
    folder = tmp_path_factory.mktemp("place")
    for name in ("a", "日本", "мир"):
        write_audio(folder / "mü" / f"{name}.wav", tones(2))
    done = run_mscol(
        "separate", "mü", "--separator", "none", folder=folder, PYTHONIOENCODING="cp1251"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(rb"m\xfc.store: 3 tracks")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("code_page", "names"),
    [
        ("ascii", rb"a \u043c\u0438\u0440 \u65e5\u672c"),
        ("cp1251", "a мир ".encode("cp1251") + rb"\u65e5\u672c"),
        ("cp1252", rb"a \u043c\u0438\u0440 \u65e5\u672c"),
        ("utf-8", "a мир 日本".encode()),
    ],
)
def test_a_listing_escapes_what_the_code_page_lacks(
    place: Path, code_page: str, names: bytes
) -> None:
    done = run_mscol("store", "ls", "mü.store", folder=place, PYTHONIOENCODING=code_page)
    assert (done.returncode, done.stderr) == (0, b"")
    assert [line.split()[-1] for line in done.stdout.splitlines()] == names.split()


@pytest.mark.slow
def test_json_is_the_same_in_every_code_page(place: Path) -> None:
    done = run_mscol("store", "ls", "mü.store", "--json", folder=place, PYTHONIOENCODING="ascii")
    assert "日本" in {track["id"] for track in json.loads(done.stdout)["items"]}


@pytest.mark.slow
@pytest.mark.parametrize("command", ["plugins", "download", "probe --help"])
def test_tables_and_frames_are_plain_where_there_is_only_ascii(
    tmp_path: Path, command: str
) -> None:
    done = run_mscol(*command.split(), folder=tmp_path, PYTHONIOENCODING="ascii", COLUMNS="80")
    assert done.returncode == 0
    assert b"\\u" not in done.stdout


def test_text_files_are_utf_8_whatever_the_system_says() -> None:
    without_encoding = [
        f"{path}:{node.lineno}"
        for path in MODULES.values()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and _is_text(node)
        and "encoding" not in {keyword.arg for keyword in node.keywords}
    ]
    assert without_encoding == []


def _is_text(call: ast.Call) -> bool:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if isinstance(call.func, ast.Attribute) and name in ("read_text", "write_text"):
        return True
    modes = [value.value for value in call.args if isinstance(value, ast.Constant)]
    return name in ("open", "fdopen") and any(TEXT_MODE.fullmatch(str(mode)) for mode in modes)
