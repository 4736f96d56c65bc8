"""The documents keep up with the code."""

import inspect
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mscol_cli.contracts import hooks
from mscol_cli.store import Store
from tests.helpers.commands import VISIBLE

ROOT = Path(__file__).parent.parent
COMMANDS = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
PLUGINS = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
STORE = (ROOT / "docs" / "store.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", VISIBLE)
def test_every_option_of_a_command_is_documented(name: str) -> None:
    section = COMMANDS.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
    assert section
    command = VISIBLE[name]
    general = COMMANDS.partition("\n## ")[0]
    commands = [command, *getattr(command, "commands", {}).values()]
    for parameter in [parameter for command in commands for parameter in command.params]:
        for option in parameter.opts:
            if option.startswith("-") and option not in ("--help", "-h"):
                assert option in section or option in general, f"{option} of {name}"
    for member in getattr(command, "commands", {}):
        assert f"mscol {name} {member}" in section


def test_every_hook_has_a_heading_with_its_signature() -> None:
    for name, hook in inspect.getmembers(hooks, inspect.isfunction):
        if name.startswith("mscol_"):
            signature = f"### `{name}{inspect.signature(hook)}`".replace("'", "")
            assert signature in PLUGINS, signature


def test_the_code_in_the_store_document_reads_a_store(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = re.findall(r"```python\n(.*?)```", STORE, re.DOTALL)[0]
    assert len([line for line in code.splitlines() if line]) <= 10
    monkeypatch.chdir(store.parent)
    scope: dict[str, Any] = {}
    exec(code.replace("music.store", store.name), scope)
    opened = Store.open(store)
    row = opened.index.track_ids.index(scope["track"]["id"])
    vocals = opened.waveform(row, opened.index.sources.index("vocals"))
    np.testing.assert_allclose(scope["waveform"], vocals, rtol=1e-6)
    levels = opened.index.segment_level[opened.index.segment_track == row]
    np.testing.assert_array_equal(scope["levels"], levels[:, opened.index.sources.index("vocals")])


@pytest.mark.slow
def test_the_code_in_the_command_document_makes_music(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    exec(re.findall(r"```python\n(.*?)```", COMMANDS, re.DOTALL)[0], {})
    made = {path.name for path in (tmp_path / "data").iterdir()}
    assert {"stems", "mtat", "fma", "nsynth"} <= made


def test_links_between_documents_lead_somewhere() -> None:
    for document in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]:
        for link in re.findall(r"\]\(([^)#:]+)\)", document.read_text(encoding="utf-8")):
            assert (document.parent / link).exists(), f"{document.name}: {link}"
