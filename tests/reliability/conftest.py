"""Commands by name, and a disk that fails."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.cases import CASES, Case
from tests.helpers.scripts import ROOT


@pytest.fixture
def case(request: pytest.FixtureRequest) -> Case:
    """The command of the name that is the parameter."""
    build: Any = CASES[request.param]
    made: Case = build(request.getfixturevalue)
    return made


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that lets calls fail."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    library = tmp_path_factory.mktemp("shim") / "faults.so"
    source = ROOT / "tests" / "processes" / "faults.c"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return library
