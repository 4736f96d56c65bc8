"""The limit of open files, which a large store would exceed."""

import subprocess
import sys

import pytest

resource = pytest.importorskip("resource")

RAISED = """
import resource, sys
from mscol_cli.system.files import open_files_limit, open_more_files
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (64, min(hard, 512)))
before = open_files_limit()
open_more_files()
print(before, open_files_limit())
"""


def test_the_limit_is_raised_as_far_as_the_system_permits() -> None:
    done = subprocess.run(
        [sys.executable, "-c", RAISED], stdout=subprocess.PIPE, text=True, check=True
    )
    assert done.stdout.split() == ["64", "512"]
