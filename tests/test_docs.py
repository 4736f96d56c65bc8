"""The documents keep up with the code."""

import inspect
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from docs import messages, variables
from docs.generate import commands, pages, with_options
from mscol_cli import errors
from mscol_cli.contracts import hooks
from mscol_cli.contracts.options import options_of
from mscol_cli.host import load_registry
from mscol_cli.host.registry import Kind
from mscol_cli.probe.request import TableRequest
from mscol_cli.recipes.options import PartsSettings
from mscol_cli.separate.request import SeparateRequest
from mscol_cli.store import Store
from mscol_cli.system import environment
from mscol_cli.vectors import FileVersion, VectorFolder, VectorHeader, VectorWriter

ROOT = Path(__file__).parent.parent
PAGES = pages()
DEMO = (ROOT / "docs" / "commands" / "demo.md").read_text(encoding="utf-8")
PLUGINS = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
VECTORS = (ROOT / "docs" / "vectors.md").read_text(encoding="utf-8")
RELIABILITY = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
STORE = (ROOT / "docs" / "store.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_option_tables_are_those_of_the_code(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert with_options(text) == text, "run: python docs/generate.py"


def test_every_command_has_its_options_on_its_page() -> None:
    for name, command in commands().items():
        page = (ROOT / "docs" / "commands" / f"{name.split()[0]}.md").read_text(encoding="utf-8")
        assert f"mscol {name}" in page
        if not hasattr(command, "commands") or command.params[:-1]:
            assert f"<!-- options: {name} -->" in page, name


def test_the_readme_and_help_name_every_part_and_command() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    helps: dict[Kind, str] = {
        "objective": help_of(PartsSettings, "objective"),
        "separator": help_of(SeparateRequest, "separator"),
        "task": help_of(TableRequest, "tasks"),
    }
    registry = load_registry()
    for kind, text in helps.items():
        for entry in registry.of_kind(kind):
            if entry.owner == "mscol":
                assert f"`{entry.card.name}`" in readme
                assert re.search(rf"\b{entry.card.name}\b", text), f"{kind} {entry.card.name}"
    for name in {name.split()[0] for name in commands()}:
        assert f"mscol {name}" in readme or f"| `{name}` |" in readme, name


def help_of(options: type, name: str) -> str:
    return str(next(item.metadata["help"] for item in options_of(options) if item.name == name))


def test_every_page_has_three_examples_with_output_and_exit_codes() -> None:
    assert {page.stem for page in PAGES} == {name.split()[0] for name in commands()}
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        assert "\n## Exit codes\n" in text, page.name
        assert text.count("```console\n$ ") >= 3, page.name
        assert not re.search(r"^\$ [^\n]+\n```", text, re.MULTILINE), f"{page.name}: no output"


def test_the_lines_to_install_and_test_are_those_that_the_checks_run() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    line = 'python3 -m venv .venv && .venv/bin/pip install -e ".[dev]" && .venv/bin/pytest'
    for text in (readme, (ROOT / ".ci" / "run").read_text(encoding="utf-8")):
        assert [part.strip() for part in text.splitlines()].count(line) == 1
    assert "python3 -m venv .venv && .venv/bin/pip install . && .venv/bin/mscol demo" in readme


@pytest.mark.parametrize("existing", [True, False])
def test_the_checks_fail_if_the_tests_fail(tmp_path: Path, existing: bool) -> None:
    checkout = tmp_path / "checkout"
    (checkout / ".ci").mkdir(parents=True)
    script = shutil.copy(ROOT / ".ci" / "run", checkout / ".ci")
    passes = "#!/bin/sh\nexit 0\n"
    tools = {"pip": "#!/bin/sh\nexit 7\n", "pytest": passes, "ruff": passes, "mypy": passes}
    environment = checkout / ".venv" / "bin"
    make = "".join(f"cp {tmp_path}/{tool} {environment}\n" for tool in tools)
    python = f"#!/bin/sh\nmkdir -p {environment}\n{make}"
    for tool, content in {**tools, "python3": python, "chromium": passes}.items():
        (tmp_path / tool).write_text(content)
        (tmp_path / tool).chmod(0o755)
    if existing:
        environment.mkdir(parents=True)
    path = f"{tmp_path}:{os.environ['PATH']}"
    done = subprocess.run(["bash", script], env={**os.environ, "PATH": path}, check=False)
    assert done.returncode == 7
    assert environment.exists() is existing


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


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_the_code_in_the_document_reads_a_folder_of_vectors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    code = re.findall(r"```python\n(.*?)```", VECTORS, re.DOTALL)[0]
    assert len([line for line in code.splitlines() if line]) <= 10
    header = VectorHeader("m@1", "0", "small", 16000, 9, 9, "rms", 3, precision=precision)
    path, file = tmp_path / "vectors", FileVersion("/a", 1, 1)
    with (
        VectorWriter(VectorFolder(path, header)) as one,
        VectorWriter(VectorFolder(path, header)) as two,
    ):
        for name in ("a", "b", "c"):
            one.add(name, file, np.arange(6, dtype=np.float32).reshape(2, 3))
        two.fail("d", file, "d: is empty")
    with VectorWriter(VectorFolder(path, header)) as again:
        again.add("a", file, np.ones((1, 3), np.float32))
        again.remove("b")
    for torn in ("00000.jsonl", f"00000.{'f32' if precision == 'float32' else 'f16'}"):
        with (path / torn).open("ab") as index:
            index.write(b"{")
    monkeypatch.chdir(tmp_path)
    scope: dict[str, Any] = {}
    exec(code, scope)
    (entry, *_) = VectorFolder.open(path).entries
    assert scope["file"]["id"] == entry.id == "a"
    assert {line["id"] for line in scope["newest"].values() if line["rows"]} == {"a", "c"}
    np.testing.assert_array_equal(scope["vectors"], np.ones((1, 3)))
    assert scope["vectors"].dtype == precision


@pytest.mark.slow
def test_the_code_in_the_command_document_makes_music(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    exec(re.findall(r"```python\n(.*?)```", DEMO, re.DOTALL)[0], {})
    made = {path.name for path in (tmp_path / "data").iterdir()}
    assert {"stems", "mtat", "fma", "nsynth"} <= made


def test_links_between_documents_lead_somewhere() -> None:
    for document in [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("bench/**/*.md"),
        *ROOT.glob("*/*/README.md"),
    ]:
        text = document.read_text(encoding="utf-8")
        for link, anchor in re.findall(r"\]\(([^)#:]*)(?:#([^)]*))?\)", text):
            target = document.parent / link if link else document
            assert target.exists(), f"{document.name}: {link}"
            if anchor:
                assert anchor in _anchors(target), f"{document.name}: {link}#{anchor}"


def _anchors(document: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_promise_names_a_test_that_exists() -> None:
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", RELIABILITY)
    assert len(named) > 30
    for file, test in named:
        code = (ROOT / "tests" / file).read_text(encoding="utf-8")
        assert f"def {test}(" in code, f"{file}::{test}"


@pytest.mark.parametrize("part", [messages, variables], ids=["messages", "variables"])
def test_generated_tables_are_those_of_the_code(part: Any) -> None:
    assert part.FILE.read_text(encoding="utf-8") == part.text(), "run: python docs/generate.py"


def test_every_error_has_an_exit_code_of_the_table() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    codes = {kind.exit_code for kind in kinds if issubclass(kind, errors.MscolError)}
    assert codes | {0} == set(errors.EXIT_CODES)


def test_every_environment_variable_is_listed() -> None:
    listed = {item.name for item in environment.READ} | {*environment.INTERNAL}
    for folder in ("mscol", "mscol_cli", "plugins"):
        for path in (ROOT / folder).rglob("*.py"):
            code = path.read_text(encoding="utf-8")
            names = {*re.findall(r'"(MSCOL_[A-Z_]+)"', code)}
            if "os.environ" in code:
                # Not the names of os.sysconf.
                names |= {*re.findall(r'"((?!SC_)[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+|RANK|CC)"', code)}
            assert names <= listed, path


def test_every_listed_variable_occurs_in_the_code() -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "mscol_cli").rglob("*.py"))
    of_libraries = {"NO_COLOR", "HF_TOKEN", "HF_HOME", "HF_ENDPOINT", "HF_HUB_OFFLINE"}
    for name in {item.name for item in environment.READ} - of_libraries:
        assert code.count(f'"{name}"') > 1, name
