"""A signal that arrives in foreign code, which turns the interruption into something else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.audio import tones, write_audio
from tests.helpers.messages import mentions
from tests.helpers.plugins import WHOLE, write_plugin

SIGNALLED = """
import signal


def separate(self, audio):
    mixture = audio[MIXTURE]
    try:
        if not Path("signalled").exists():
            Path("signalled").touch()
            os.kill(os.getpid(), getattr(signal, "{name}"))
    except KeyboardInterrupt:
        {then}
    return {{MIXTURE: mixture, "low": mixture / 2, "high": mixture / 2}}


Halves.separate = separate
"""


@pytest.mark.slow
@pytest.mark.processes
@pytest.mark.parametrize(
    ("name", "then"), [("SIGUSR1", "raise ValueError('no shape')"), ("SIGTERM", "pass")]
)
def test_a_signal_that_a_library_turns_into_an_error_or_drops_interrupts_once(
    name: str, then: str, tmp_path: Path
) -> None:
    for track in "ab":
        write_audio(tmp_path / f"music/{track}.wav", tones(2.0))
    write_plugin("signalled", WHOLE + SIGNALLED.format(name=name, then=then), tmp_path)
    command = ["-m", "mscol_cli", "separate", "music", "--separator", "halves", "-o", "out.store"]

    def separate() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *command],
            env={**os.environ, "PYTHONPATH": str(tmp_path)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

    stopped = separate()
    assert stopped.returncode == 130, stopped.stderr
    errors = [line for line in stopped.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert mentions(errors[0], "out.store", "run the same command again")
    assert separate().returncode == 0
