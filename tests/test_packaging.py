"""What is published beside the code: version, citation, licences, distributions, pins."""

import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from importlib.metadata import metadata, version
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement

from mscol_cli import __version__

ROOT = Path(__file__).parent.parent
LICENCES = (ROOT / "docs" / "licences.md").read_text(encoding="utf-8")
PINNED = (ROOT / "requirements" / "tested.txt").read_text(encoding="utf-8")
ONLY_IN_A_CHECKOUT = (".github/", ".gitignore", ".editorconfig", ".pre-commit-config.yaml")


def test_one_version_everywhere() -> None:
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.findall(r"^version: (.*)$", citation, re.MULTILINE) == [__version__]
    assert version("mscol") == __version__


def test_the_description_of_the_package_has_no_link_that_needs_the_checkout() -> None:
    description = metadata("mscol").json["description"]
    assert isinstance(description, str)
    assert description.startswith("# mscol\n")
    links = re.findall(r"\]\(([^)]*)\)", description)
    assert links
    assert [link for link in links if not link.startswith(("https:", "#"))] == []


def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    return [name for name in listed.stdout.splitlines() if (ROOT / name).exists()]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tracked files, to build in."""
    if not (ROOT / ".git").exists():
        pytest.skip("needs the list of tracked files")
    pytest.importorskip("setuptools", minversion="77")
    folder = tmp_path_factory.mktemp("checkout")
    for name in tracked():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    return folder


def build(checkout: Path, kind: str) -> None:
    code = f"from setuptools.build_meta import build_{kind}; build_{kind}('dist')"
    subprocess.run([sys.executable, "-c", code], cwd=checkout, check=True, capture_output=True)
    assert not (checkout / "build").exists()


@pytest.mark.slow
def test_the_source_distribution_holds_every_file_that_tests_need(checkout: Path) -> None:
    build(checkout, "sdist")
    with tarfile.open(checkout / "dist" / f"mscol-{__version__}.tar.gz") as archive:
        packed = {name.partition("/")[2] for name in archive.getnames()}
    assert {name for name in tracked() if not name.startswith(ONLY_IN_A_CHECKOUT)} <= packed


@pytest.mark.slow
def test_the_wheel_holds_what_the_documents_list(checkout: Path) -> None:
    build(checkout, "wheel")
    (wheel,) = (checkout / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = archive.namelist()
    table = LICENCES.partition("## What it needs")[0]
    listed = [
        name
        for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
        for name in re.findall(r"`([^`]+)`", row)
    ]
    assert [name for name in packed if not any(fits(name, item) for item in listed)] == []
    assert [item for item in listed if not any(fits(name, item) for name in packed)] == []
    code = {name.removeprefix("plugins/") for name in tracked() if name.endswith(".py")}
    assert {name for name in packed if name.endswith(".py")} <= code


def fits(name: str, pattern: str) -> bool:
    """Whether a path fits a pattern, whose `**/` stands for any folders, or none."""
    parts = [re.escape(part).replace(r"\*", "[^/]*") for part in pattern.split("**/")]
    return re.fullmatch("(?:[^/]+/)*".join(parts), name) is not None


def requirements(*extras: str) -> list[Requirement]:
    """Requirements of the package, with those of extras."""
    wanted = [Requirement(line) for line in metadata("mscol").get_all("Requires-Dist") or []]
    environments = [{"extra": extra} for extra in ("", *extras)]
    return [
        item
        for item in wanted
        if item.name != "mscol"
        and (item.marker is None or any(map(item.marker.evaluate, environments)))
    ]


def test_the_licence_of_every_requirement_is_listed() -> None:
    rows = LICENCES.partition("## What it needs")[2]
    names = " ".join(re.findall(r"^\| ([^|]*) \|", rows, re.MULTILINE))
    listed = {*re.findall(r"[\w-]+", names)}
    assert {item.name.lower() for item in requirements("parquet", "onnx")} <= listed


def test_every_requirement_of_the_checks_is_pinned_by_hash() -> None:
    entries = re.split(r"^(?=[\w.-]+==)", PINNED, flags=re.MULTILINE)[1:]
    for entry in entries:
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry.splitlines()[0]
    pins = [re.match(r"([\w.-]+)==([\w.+-]+)(?: ; (.*?))? \\", entry) for entry in entries]
    here = {pin[1]: pin[2] for pin in pins if pin and (pin[3] is None or Marker(pin[3]).evaluate())}
    for item in requirements("parquet", "onnx", "dev"):
        assert item.specifier.contains(here[item.name]), item


def test_the_workflow_installs_by_hash() -> None:
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    assert "pip install --require-hashes -r requirements/tested.txt" in workflow
    assert "pip install --no-deps --no-build-isolation -e ." in workflow
