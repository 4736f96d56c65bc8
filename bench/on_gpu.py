"""Everything to measure on a GPU, in nine minutes, on a machine without a network.

On a machine with a network, of the same architecture, from the root of the repository:

    python -m pip wheel --no-deps -w .wheels .
    python -m pip download --no-deps --only-binary=:all: -d .wheels \\
        --python-version 3.12 --implementation cp --abi cp312 --abi abi3 --abi none \\
        --platform manylinux_2_28_x86_64 --platform manylinux2014_x86_64 --platform any \\
        openunmix==1.3.0 soundfile==0.14.0 av==18.1.0 google-crc32c tomli-w cffi pycparser

These 42 MB are what a Python 3.12 with torch, torchaudio, torchvision, timm, scikit-learn, typer,
rich, pluggy and tensorboard lacks. On the machine with the GPU, in a copy of the repository:

    python bench/on_gpu.py --wheels .wheels --out results

Afterwards, `python bench/on_gpu.py --docs bench/README.md --out results` writes the table between
the markers of that file. `--device cpu --smoke` runs all parts on a few seconds of music. Temporary
files are in a folder of `--work`, which is removed; results has three files.

Each part is a process with a time limit of its own. After each, results/on_gpu.json is replaced;
what a part measured before it was stopped is kept. A part without time left is skipped. `--list`
lists the parts; `on_gpu_parts.py` says what each measures. The music is synthesised, and weights
are random.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

REPOSITORY = Path(__file__).resolve().parent.parent
RESULTS, TABLE, LOG = "on_gpu.json", "on_gpu.md", "on_gpu.log"
MIN_SECONDS = 5
SMOKE_PATIENCE = 10


class Process(Protocol):
    """A process, which leads a session."""

    @property
    def pid(self) -> int:
        """Its number, and that of the session."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end; returns the exit code. Raises subprocess.TimeoutExpired."""


@dataclass(frozen=True)
class Part:
    """A part of the measurement.

    Attributes:
        name: Its name, and that of its function in `on_gpu_parts`.
        limit: Seconds after which it is stopped.
        needs: Seconds that are reserved for it while earlier parts run.
    """

    name: str
    limit: float
    needs: float


PARTS = (
    Part("machine", 40, 12),
    Part("music", 60, 20),
    Part("numerics", 80, 50),
    Part("pretrain", 185, 165),
    Part("curve", 150, 60),
    Part("roofline", 45, 20),
    Part("embed", 60, 35),
    Part("separate", 75, 50),
    Part("probe", 60, 35),
    Part("resume", 60, 35),
    Part("memory", 40, 15),
    Part("learning", 60, 25),
)
"""In order of execution."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts; returns the exit code, 1 if a part failed."""
    options = _options(arguments)
    if options.list:
        print("\n".join(f"{part.name}: at most {part.limit:.0f} s" for part in PARTS))
        return 0
    options.out.mkdir(parents=True, exist_ok=True)
    if options.docs:
        return _write_docs(options)
    deadline = time.monotonic() + 60 * options.minutes
    options.work = Path(tempfile.mkdtemp(prefix="on_gpu-", dir=options.work)).resolve()
    try:
        report = _measured(options, deadline)
    finally:
        shutil.rmtree(options.work, ignore_errors=True)
    print((options.out / TABLE).read_text(encoding="utf-8"))
    return int(any("error" in result for result in report.parts.values()))


def _measured(options: argparse.Namespace, deadline: float) -> _Report:
    report = _Report(options.out, options.device, options.smoke)
    environment = _environment(options)
    chosen = [part for part in PARTS if not options.only or part.name in options.only.split(",")]
    for number, part in enumerate(chosen):
        reserved = sum(later.needs for later in chosen[number + 1 :])
        # A test may run on a machine that is busy.
        limit = part.limit * (SMOKE_PATIENCE if options.smoke else 1)
        seconds = min(limit, deadline - time.monotonic() - reserved)
        report.add(part.name, _run(part, seconds, options, environment))
    report.finish(60 * options.minutes - (deadline - time.monotonic()))
    return report


class _Report:
    def __init__(self, out: Path, device: str, smoke: bool) -> None:
        self._out = out
        self.parts: dict[str, Mapping[str, Any]] = {}
        self._head: dict[str, Any] = {
            "date": time.strftime("%Y-%m-%d"),
            "device": device,
            "smoke": smoke,
        }

    def add(self, name: str, result: Mapping[str, Any]) -> None:
        self.parts[name] = result
        state = result.get("error") or result.get("skipped") or "done"
        print(f"{name}: {result.get('seconds', 0):.1f} s, {state}", file=sys.stderr, flush=True)
        self._write()

    def finish(self, seconds: float) -> None:
        self._head["seconds"] = round(seconds, 1)
        self._write()

    def _write(self) -> None:
        from bench.on_gpu_table import table
        from mscol_cli.system.files import write_text

        content = {**self._head, "parts": self.parts}
        write_text(self._out / RESULTS, json.dumps(content, indent=1) + "\n")
        write_text(self._out / TABLE, table(content))


def _run(
    part: Part, seconds: float, options: argparse.Namespace, environment: Mapping[str, str]
) -> dict[str, Any]:
    """Run a part in a process; returns what it measured, also if it failed or was stopped."""
    if seconds < MIN_SECONDS:
        return {"skipped": "no time was left"}
    output = options.work / f"{part.name}.json"
    begun, problem = time.monotonic(), ""
    arguments = [part.name, options.device, str(options.work), f"{seconds:.1f}"]
    with (options.out / LOG).open("ab") as log:
        log.write(f"\n== {part.name}\n".encode())
        log.flush()
        process = _start(arguments, log, options, environment)
        try:
            if code := process.wait(seconds + MIN_SECONDS):
                problem = f"exit code {code}"
        except subprocess.TimeoutExpired:
            problem = f"stopped after {seconds:.0f} s"
        finally:
            _stop(process)
    found = json.loads(output.read_text(encoding="utf-8")) if output.exists() else {}
    result = {"seconds": round(time.monotonic() - begun, 1), **found}
    return {**result, "error": problem} if problem else result


def _start(
    arguments: Sequence[str],
    log: IO[bytes],
    options: argparse.Namespace,
    environment: Mapping[str, str],
) -> Process:
    """Start a part in a session of its own: stopping it stops the commands that it runs."""
    if not options.smoke:
        command = [sys.executable, "-m", "bench.on_gpu_parts", *arguments]
        return subprocess.Popen(
            command,
            cwd=options.work,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    # Importing takes longer than anything else in this process.
    from bench.on_gpu_parts import run
    from bench.on_gpu_process import Copy

    os.environ.update(environment)
    return Copy(lambda: run([*arguments, "--smoke"]), log.fileno(), log.fileno(), options.work)


def _stop(process: Process) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _environment(options: argparse.Namespace) -> dict[str, str]:
    """Environment of the parts, with the wheels installed where Python finds them first."""
    paths = [str(REPOSITORY), str(REPOSITORY / "plugins")]
    if options.wheels:
        site = options.work / "site"
        wheels = sorted(map(str, options.wheels.glob("*.whl")))
        install = [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps"]
        install += ["--no-compile", "--no-cache-dir", "--upgrade", "--target", str(site)]
        subprocess.run([*install, *wheels], check=True)
        # The wheel's plugins, not those of the repository.
        paths = [str(site), str(REPOSITORY)]
    sys.path[:0] = paths
    one_thread = {"OMP_NUM_THREADS": "1"} if options.smoke else {}
    os.environ.update(one_thread)
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONUNBUFFERED": "1",
        "NO_COLOR": "1",
        "MSCOL_CACHE": str(options.work / "cache"),
    }


def _write_docs(options: argparse.Namespace) -> int:
    sys.path[:0] = [str(REPOSITORY)]
    from bench.on_gpu_table import table
    from bench.table import write_between

    content = json.loads((options.out / RESULTS).read_text(encoding="utf-8"))
    write_between(options.docs, "on_gpu", table(content))
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--wheels", type=Path, help="folder of wheels to install")
    parser.add_argument("--out", type=Path, default=Path("results"), help="folder of the results")
    parser.add_argument("--work", type=Path, help="folder for temporary files, 3 GB")
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--minutes", type=float, default=9.0, help="time for all parts")
    parser.add_argument("--only", help="run these parts only, a,b,c")
    parser.add_argument("--smoke", action="store_true", help="a few seconds of music, for a test")
    parser.add_argument("--list", action="store_true", help="list the parts")
    parser.add_argument("--docs", type=Path, help="write the table of OUT into this file, and stop")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
