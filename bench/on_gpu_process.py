"""Commands of mscol, and the results of a part of `on_gpu.py`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bench.timing import Usage
from mscol_cli.system.files import write_text

_PAUSE = 0.25
_STOPPING = 20
"""Seconds for a checkpoint after Ctrl-C."""


@dataclass(frozen=True)
class Finished:
    """A command that has ended.

    Attributes:
        code: Exit code; None if it was killed.
        seconds: Its duration.
        output: What it printed on stdout.
        message: The last line on stderr.
    """

    code: int | None
    seconds: float
    output: str
    message: str

    def json(self) -> Any:
        """The output of `--json`."""
        return json.loads(self.output)


class Command:
    """A running command.

    With `here`, it runs in a copy of this process, which has imported torch already: for tests. The
    copy must not use a GPU.
    """

    def __init__(self, command: Sequence[str], here: bool = False) -> None:
        with ExitStack() as files:
            self._out = files.enter_context(tempfile.TemporaryFile())
            self._err = files.enter_context(tempfile.TemporaryFile())
            self._files = files.pop_all()
        self._begun = time.monotonic()
        self._process: subprocess.Popen[bytes] | Copy
        if here:
            from mscol_cli.app import run

            work = partial(run, command[3:])
            self._process = Copy(work, self._out.fileno(), self._err.fileno())
        else:
            self._process = subprocess.Popen(command, stdout=self._out, stderr=self._err)
        self._is_interrupted = False

    def interrupt(self) -> None:
        """Send Ctrl-C, once."""
        if not self._is_interrupted:
            self._is_interrupted = True
            self._process.send_signal(signal.SIGINT)

    def wait(self, seconds: float, watch: Callable[[], None] = lambda: None) -> Finished:
        """Wait for the end, at most `seconds`; then send Ctrl-C, and kill it if it goes on."""
        deadline = time.monotonic() + seconds
        while self._process.poll() is None:
            if time.monotonic() > deadline + _STOPPING:
                self._process.kill()
            elif time.monotonic() > deadline:
                self.interrupt()
            watch()
            time.sleep(_PAUSE)
        texts = []
        with self._files:
            for file in (self._out, self._err):
                file.seek(0)
                texts.append(file.read().decode("utf-8", "replace"))
        sys.stderr.write(texts[1])
        lines = [line for line in texts[1].splitlines() if line.strip()]
        code = self._process.poll()
        message = lines[-1].strip() if lines else ""
        return Finished(code, time.monotonic() - self._begun, texts[0], message)


class Copy:
    """A copy of this process, which computes something and exits with its result.

    Attributes:
        pid: Its number. It leads a session if it has a folder of its own.
    """

    def __init__(
        self, work: Callable[[], int], out: int, err: int, folder: Path | None = None
    ) -> None:
        """Fork.

        Args:
            work: What the copy computes.
            out: Descriptor of its stdout.
            err: Descriptor of its stderr.
            folder: Its current folder.
        """
        self._code: int | None = None
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            code = 1
            try:
                if folder is not None:
                    os.setsid()
                    os.chdir(folder)
                os.dup2(out, 1)
                os.dup2(err, 2)
                code = work()
            except Exception:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)

    def poll(self) -> int | None:
        """The exit code; None while it runs."""
        if self._code is None:
            child, status = os.waitpid(self.pid, os.WNOHANG)
            self._code = os.waitstatus_to_exitcode(status) if child else None
        return self._code

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end; returns the exit code. Raises subprocess.TimeoutExpired."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if deadline is not None and time.monotonic() > deadline:
                raise subprocess.TimeoutExpired("copy", timeout or 0.0)
            time.sleep(_PAUSE / 10)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it."""
        self.send_signal(signal.SIGKILL)


class Bench:
    """What a part works with.

    Attributes:
        device: `cuda` or `cpu`.
        work: Folder of all parts.
        data: Collection of synthesised music.
        store: Store of its true stems.
        smoke: Whether everything is as small as possible.
        last_s: Duration of the last command, in seconds.
    """

    def __init__(self, name: str, device: str, work: Path, seconds: float, smoke: bool) -> None:
        self.device, self.work, self.smoke = device, work, smoke
        self.data, self.store = work / "data", work / "stems.store"
        self.last_s = 0.0
        self._output, self._found = work / f"{name}.json", dict[str, Any]()
        self._begun, self._seconds = time.monotonic(), seconds

    @property
    def elapsed(self) -> float:
        """Seconds since the part began."""
        return time.monotonic() - self._begun

    @property
    def left(self) -> float:
        """Seconds until the part is stopped."""
        return self._seconds - self.elapsed

    def report(self, **values: Any) -> None:
        """Add results, and write all of them."""
        self._found |= values
        write_text(self._output, json.dumps(self._found) + "\n")

    def start(self, name: str, *arguments: object) -> Command:
        """Start a command of mscol, on the device unless `arguments` name another."""
        words = list(map(str, arguments))
        words += [] if "--device" in words else ["--device", self.device]
        return Command([sys.executable, "-m", "mscol_cli", name, *words], here=self.smoke)

    def run(self, name: str, *arguments: object) -> Finished:
        """Run a command of mscol."""
        result = self.start(name, *arguments).wait(self.left)
        self.last_s = result.seconds
        return result

    def run_mscol(self, command: Sequence[object]) -> Usage:
        """Run a command, in place of `run_mscol`; seconds are those on the clock."""
        name, *arguments = command
        result = self.run(str(name), *arguments)
        return Usage(result.seconds, 0.0, -1 if result.code is None else result.code)


def metrics_of(run: Path) -> list[dict[str, Any]]:
    """Lines of metrics.jsonl of a run; the first has the seconds that settling its mode took."""
    path = run / "metrics.jsonl"
    if not path.exists():
        return []
    lines: list[dict[str, Any]] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            lines.append(json.loads(line))
        except ValueError:  # not complete yet
            break
    if lines:
        # run.json is written again when the mode was settled.
        made = (run / "recipe.toml").stat().st_mtime
        lines[0]["settling_s"] = (run / "run.json").stat().st_mtime - made
    return [line for line in lines if "loss" in line]
