"""Several hosts on one machine: namespaces with their own network, name, process ids and mounts."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = ("unshare", "nsenter", "ip")
_NETWORK = "10.9.0."
# As the first process it also reaps what daemons leave behind.
_INIT = (
    'mount --bind "$1" /etc/hosts && hostname "$2" && ip link set lo up && echo ready;'
    " while sleep 60; do :; done"
)


def missing(*programs: str) -> str:
    """Why hosts cannot be started here; empty if they can."""
    absent = [name for name in (*PROGRAMS, *programs) if shutil.which(name) is None]
    if absent:
        return f"needs {', '.join(absent)}"
    if os.geteuid() != 0:
        return "needs root"
    test = subprocess.run(["unshare", "--net", "--pid", "--fork", "true"], capture_output=True)
    return "" if test.returncode == 0 else "needs the right to make namespaces"


@dataclass(frozen=True)
class Host:
    """One host.

    Attributes:
        name: Its host name, which all of them resolve.
        address: Its address.
        process: What keeps its namespaces; all of the host's processes end with it.
        init: Process id of its first process, as seen from outside.
    """

    name: str
    address: str
    process: subprocess.Popen[str]
    init: int

    def start(
        self,
        *command: object,
        folder: Path,
        log: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[str]:
        """Start a command on this host; both its outputs go to `log`, or to a pipe."""
        enter = ["--mount", "--net", "--uts", "--ipc", "--pid", f"--wdns={folder}"]
        line = ["nsenter", f"--target={self.init}", *enter, "--", *map(str, command)]
        variables = {**os.environ, **(environment or {})}
        if log is None:
            pipe = subprocess.PIPE
            return subprocess.Popen(line, env=variables, stdout=pipe, stderr=pipe, text=True)
        with log.open("a") as out:
            return subprocess.Popen(line, env=variables, stdout=out, stderr=out, text=True)

    def processes(self, *words: str) -> list[int]:
        """Processes of this host whose command line has all these words, the oldest first."""
        namespace = Path(f"/proc/{self.init}/ns/pid").readlink()
        found = []
        for number in sorted(int(path.name) for path in Path("/proc").glob("[0-9]*")):
            try:
                same = Path(f"/proc/{number}/ns/pid").readlink() == namespace
                line = Path(f"/proc/{number}/cmdline").read_bytes().decode().split("\0")
            except OSError:
                continue
            if same and number != self.init and set(words) <= set(line):
                found.append(number)
        return found

    def connect(self, up: bool) -> None:
        """Plug the cable in, or pull it."""
        self.ip("link", "set", "eth0", "up" if up else "down")

    def ip(self, *arguments: str) -> None:
        """Run `ip` in the host's network."""
        line = ["nsenter", f"--target={self.init}", "--net", "ip", *arguments]
        subprocess.run(line, check=True)

    def kill(self) -> None:
        """Cut the power."""
        self.process.kill()
        self.process.wait()


@contextmanager
def two_hosts(folder: Path, names: Sequence[str]) -> Iterator[tuple[Host, Host]]:
    """Two hosts joined by a cable; they and their processes end with the block."""
    folder.mkdir(parents=True, exist_ok=True)
    addresses = [f"{_NETWORK}{number}" for number in range(1, len(names) + 1)]
    table = folder / "hosts"
    lines = [f"{address} {name}\n" for address, name in zip(addresses, names, strict=True)]
    table.write_text("127.0.0.1 localhost\n" + "".join(lines))
    with ExitStack() as stack:
        first, second = (
            stack.enter_context(_host(table, name, address))
            for name, address in zip(names, addresses, strict=True)
        )
        ends = ["eth0", "netns", str(first.init), "type", "veth"]
        peer = ["peer", "name", "eth0", "netns", str(second.init)]
        subprocess.run(["ip", "link", "add", *ends, *peer], check=True)
        for host in (first, second):
            host.ip("address", "add", f"{host.address}/24", "dev", "eth0")
            host.connect(up=True)
        yield first, second


@contextmanager
def _host(table: Path, name: str, address: str) -> Iterator[Host]:
    spaces = ["--mount", "--net", "--uts", "--ipc", "--pid", "--mount-proc", "--fork"]
    # The kernel kills the host if its parent is killed, too.
    line = ["unshare", *spaces, "--kill-child", "bash", "-c", _INIT, "init", str(table), name]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
            yield Host(name, address, process, int(children.read_text()))
        finally:
            process.kill()


def wait_until(condition: object, seconds: float = 60, every: float = 0.1) -> None:
    """Wait until a function returns something true."""
    assert callable(condition)
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"still not after {seconds} s"
        time.sleep(every)
