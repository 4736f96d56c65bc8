"""What is published beside the code: version, citation, source distribution."""

import re
import shutil
import subprocess
import sys
import tarfile
from importlib.metadata import metadata, version
from pathlib import Path

import pytest

from mscol_cli import __version__

ROOT = Path(__file__).parent.parent
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


@pytest.mark.slow
@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="needs the list of tracked files")
def test_the_source_distribution_holds_every_file_that_tests_need(tmp_path: Path) -> None:
    pytest.importorskip("setuptools", minversion="77")
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    names = [name for name in listed.stdout.splitlines() if (ROOT / name).exists()]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    build = "from setuptools.build_meta import build_sdist; build_sdist('dist')"
    subprocess.run([sys.executable, "-c", build], cwd=tmp_path, check=True, capture_output=True)
    with tarfile.open(tmp_path / "dist" / f"mscol-{__version__}.tar.gz") as archive:
        packed = {name.partition("/")[2] for name in archive.getnames()}
    assert {name for name in names if not name.startswith(ONLY_IN_A_CHECKOUT)} <= packed
    assert not (tmp_path / "build").exists()
