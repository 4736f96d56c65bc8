"""A stranger's plugin: installed into a fresh environment, trained with, uninstalled cleanly."""

import json
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "plugins" / "mscol-example-objective"
SEPARATOR = ROOT / "plugins" / "mscol-htdemucs"


class Environment:
    """A fresh virtual environment with mscol in it, built from this checkout.

    What mscol depends on is several gigabytes: those packages are seen where this interpreter has
    them, instead of being installed again.
    """

    def __init__(self, folder: Path) -> None:
        self.work = folder.with_name("work")
        self.work.mkdir()
        venv.create(folder, with_pip=True)
        self.python = folder / "bin" / "python"
        packages = Path(self.run("-c", "import sysconfig; print(sysconfig.get_path('purelib'))"))
        seen = sysconfig.get_path("purelib")
        (packages / "dependencies.pth").write_text(f"import site; site.addsitedir({seen!r})\n")
        self.pip("install", "--no-deps", str(_copied(ROOT, folder.with_name("source"))))
        self.packages = packages

    def run(self, *arguments: str, code: int = 0) -> str:
        done = subprocess.run(
            [self.python, *arguments], capture_output=True, text=True, cwd=self.work
        )
        assert done.returncode == code, done.stderr
        return done.stdout.strip()

    def pip(self, *arguments: str) -> None:
        self.run("-m", "pip", "--quiet", "--disable-pip-version-check", *arguments)

    def mscol(self, *arguments: str, code: int = 0) -> str:
        return self.run("-m", "mscol_cli", *arguments, code=code)

    def names(self) -> dict[str, str]:
        listed = json.loads(self.mscol("plugins", "--json"))
        assert listed["failed"] == listed["clashes"] == []
        return {entry["name"]: entry["owner"] for entry in listed["plugins"]}

    def files(self) -> set[Path]:
        kept = (path for path in self.packages.rglob("*") if "__pycache__" not in path.parts)
        return {path for path in kept if "mscol" in str(path.relative_to(self.packages))}


def _copied(source: Path, target: Path) -> Path:
    """A copy to build from: a build leaves a folder behind that would end up in the next one."""
    ignored = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "runs", "tests")
    return Path(shutil.copytree(source, target, ignore=ignored))


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    return Environment(tmp_path_factory.mktemp("fresh") / "venv")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="environments have another layout")
def test_the_example_is_installed_trained_with_and_uninstalled(
    environment: Environment, store: Path, tmp_path: Path
) -> None:
    before, files = environment.names(), environment.files()
    for name in ("api.py", "download/table.toml"):
        assert environment.packages / "mscol_cli" / name in files
    for name in ("CARD.md", "vocals.safetensors", "other.safetensors"):
        assert environment.packages / "mscol_separators" / "mini" / name in files

    environment.pip("install", "--no-deps", str(_copied(EXAMPLE, tmp_path / "example")))
    assert environment.names() == {**before, "neighbour": "mscol-example-objective"}
    assert "distance=2.0" in environment.mscol("plugins", "show", "neighbour")
    quick = ["--encoder", "small", "--steps", "2", "--batch-size", "8", "--device", "cpu"]
    train = ["pretrain", str(store), *quick, "--objective", "neighbour", "--opt", "distance=1"]
    environment.mscol(*train, "-o", str(tmp_path / "run"))
    recorded = json.loads((tmp_path / "run" / "run.json").read_text())["objective"]["parts"][0]
    assert recorded["owner"] == "mscol-example-objective"
    assert recorded["options"] == {"distance": 1.0}

    environment.pip("uninstall", "--yes", "mscol-example-objective")
    assert environment.names() == before
    assert environment.files() == files
    environment.mscol(*train, "-o", str(tmp_path / "again"), code=2)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="environments have another layout")
def test_the_separator_of_its_own_package_is_installed_and_uninstalled(
    environment: Environment, tmp_path: Path
) -> None:
    before, files = environment.names(), environment.files()
    environment.pip("install", "--no-deps", str(_copied(SEPARATOR, tmp_path / "htdemucs")))
    assert environment.names() == {**before, "htdemucs": "mscol-htdemucs"}
    assert "overlap=0.25" in environment.mscol("plugins", "show", "htdemucs")
    names = {path.name for path in environment.files() - files}
    assert {path.name for path in (SEPARATOR / "mscol_htdemucs").iterdir() if path.suffix} <= names
    environment.pip("uninstall", "--yes", "mscol-htdemucs")
    assert environment.files() == files
