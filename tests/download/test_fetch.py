"""Fetching: what breaks off is gone on with, what is wrong is refused, through the command."""

from __future__ import annotations

import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mscol_cli.contracts.progress import Silent
from mscol_cli.download.folder import download_lock
from tests.conftest import Command, Offer
from tests.helpers.downloads import Server, contents, remote, sha256
from tests.helpers.messages import mentions

MUSIC = random.Random(0).randbytes(1_000_000)
HALF = len(MUSIC) // 2


def test_a_connection_that_breaks_is_gone_on_with(
    mscol: Command, server: Server, offer: Offer
) -> None:
    offer(mine=[remote(server, "a.bin", MUSIC)])
    server.breaks = [HALF]
    assert mscol("download", "mine") == 0
    assert server.requests == [("/a.bin", None), ("/a.bin", f"bytes={HALF}-")]
    assert server.sent == len(MUSIC)
    assert contents(Path("data/mine")) == {"a.bin": MUSIC}


def test_a_server_that_always_breaks_off_is_given_up_and_gone_on_with_later(
    mscol: Command, server: Server, offer: Offer, capsys: pytest.CaptureFixture[str]
) -> None:
    offer(mine=[remote(server, "a.bin", MUSIC)])
    server.always_breaks = 100_000
    assert mscol("download", "mine") == 4
    error = capsys.readouterr().err.splitlines()[-1]
    assert mentions(error, "a.bin", "300 kB", "1.00 MB")
    assert contents(Path("data/mine")) == {"a.bin.part": MUSIC[:300_000]}
    server.always_breaks = None
    assert mscol("download", "mine") == 0
    assert server.requests[-1] == ("/a.bin", "bytes=300000-")
    assert server.sent == len(MUSIC)
    assert contents(Path("data/mine")) == {"a.bin": MUSIC}


def test_an_overloaded_server_is_asked_again(
    mscol: Command, server: Server, offer: Offer, capsys: pytest.CaptureFixture[str]
) -> None:
    offer(mine=[remote(server, "a.bin", MUSIC)])
    server.refusals = [503, 429, 503]
    assert mscol("download", "mine") == 4
    assert "503" in capsys.readouterr().err.splitlines()[-1]
    server.refusals = [503, 429]
    assert mscol("download", "mine") == 0
    assert contents(Path("data/mine")) == {"a.bin": MUSIC}


@pytest.mark.slow
@pytest.mark.processes
def test_ctrl_c_exits_with_130_and_the_same_command_goes_on(
    mscol: Command, server: Server, offer: Offer, tmp_path: Path
) -> None:
    offer(mine=[remote(server, "a.bin", MUSIC)])
    server.pause = 0.2
    process = subprocess.Popen(
        [sys.executable, "-m", "mscol_cli", "download", "mine"],
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        # Started from a shell's background job, this process would ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    part = tmp_path / "data" / "mine" / "a.bin.part"
    deadline = time.monotonic() + 60
    while not (part.exists() and part.stat().st_size) and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said.splitlines()[-1].startswith("error: ")
    kept = part.stat().st_size
    assert 0 < kept < len(MUSIC)
    server.pause = 0.0
    assert mscol("download", "mine") == 0
    assert server.requests[-1] == ("/a.bin", f"bytes={kept}-")
    assert contents(tmp_path / "data" / "mine") == {"a.bin": MUSIC}


def test_a_wrong_file_is_refused_and_not_kept(
    mscol: Command, server: Server, offer: Offer, capsys: pytest.CaptureFixture[str]
) -> None:
    entry = remote(server, "a.bin", MUSIC)
    offer(mine=[entry])
    server.files["/a.bin"] = b"<html>parked</html>"
    assert mscol("download", "mine") == 4
    error = capsys.readouterr().err.splitlines()[-1]
    assert f"{server.url}/a.bin" in error
    assert mentions(error, sha256(MUSIC), sha256(b"<html>parked</html>"))
    assert contents(Path("data/mine")) == {}


def test_a_damaged_file_that_is_there_is_named(
    mscol: Command, server: Server, offer: Offer, capsys: pytest.CaptureFixture[str]
) -> None:
    offer(mine=[remote(server, "a.bin", MUSIC)])
    Path("data/mine").mkdir(parents=True)
    Path("data/mine/a.bin").write_bytes(b"half")
    assert mscol("download", "mine") == 4
    assert "data/mine/a.bin" in capsys.readouterr().err
    assert Path("data/mine/a.bin").read_bytes() == b"half"
    assert server.requests == []


def test_the_next_address_is_tried_and_the_hash_decides(
    mscol: Command, server: Server, offer: Offer
) -> None:
    urls = [f"{server.url}/{place}" for place in ("gone", "parked", "a.bin")]
    offer(mine=[remote(server, "a.bin", MUSIC, urls=urls)])
    server.files["/parked"] = b"<html>parked</html>"
    assert mscol("download", "mine") == 0
    assert [path for path, _ in server.requests] == ["/gone", "/parked", "/a.bin"]
    assert contents(Path("data/mine")) == {"a.bin": MUSIC}


def test_every_address_that_failed_is_named(
    mscol: Command, server: Server, offer: Offer, capsys: pytest.CaptureFixture[str]
) -> None:
    urls = [f"{server.url}/gone", "http://127.0.0.1:9/a.bin"]
    offer(mine=[remote(server, "a.bin", MUSIC, urls=urls)])
    assert mscol("download", "mine") == 4
    error = capsys.readouterr().err.splitlines()[-1]
    assert f"{urls[0]} answers 404" in error
    assert urls[1] in error
    assert contents(Path("data/mine")) == {}


@pytest.mark.parametrize("lengths", [True, False])
def test_a_server_that_cannot_go_on_in_the_middle_starts_over(
    mscol: Command, server: Server, offer: Offer, lengths: bool
) -> None:
    offer(mine=[remote(server, "a.bin", MUSIC)])
    Path("data/mine").mkdir(parents=True)
    Path("data/mine/a.bin.part").write_bytes(MUSIC[:HALF])
    server.ranges, server.lengths = False, lengths
    assert mscol("download", "mine") == 0
    assert server.requests == [("/a.bin", f"bytes={HALF}-")]
    assert contents(Path("data/mine")) == {"a.bin": MUSIC}


@pytest.mark.parametrize("length", [HALF - 10, HALF + 10])
def test_a_file_that_changed_on_the_server_starts_over(
    mscol: Command, server: Server, offer: Offer, length: int
) -> None:
    # The first version, of another size, broke off half-way; nothing but the server knew its size.
    changed = MUSIC[-length:]
    offer(mine=[remote(server, "a.bin", changed, size=None)])
    server.files["/a.bin"], server.always_breaks = MUSIC, HALF // 3
    assert mscol("download", "mine") == 4
    server.files["/a.bin"], server.always_breaks = changed, None
    server.requests.clear()
    assert mscol("download", "mine") == 0
    assert [asked for _, asked in server.requests] == [f"bytes={HALF // 3 * 3}-", None]
    assert contents(Path("data/mine")) == {"a.bin": changed}


def test_what_was_fetched_before_and_does_not_fit_is_fetched_anew(
    mscol: Command, server: Server, offer: Offer
) -> None:
    offer(mine=[remote(server, "a.bin", MUSIC)])
    Path("data/mine").mkdir(parents=True)
    Path("data/mine/a.bin.part").write_bytes(b"x" * HALF)
    assert mscol("download", "mine") == 0
    assert [asked for _, asked in server.requests] == [f"bytes={HALF}-", None]
    assert contents(Path("data/mine")) == {"a.bin": MUSIC}


def test_redirects_go_to_web_addresses_only(
    mscol: Command,
    server: Server,
    offer: Offer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    entry = remote(server, "a.bin", MUSIC, urls=[f"{server.url}/moved"])
    offer(mine=[entry])
    (tmp_path / "secret").write_bytes(MUSIC)
    for address in (f"file://{tmp_path}/secret", "ftp://127.0.0.1/a.bin"):
        server.redirects = {"/moved": address}
        assert mscol("download", "mine") == 4
        assert "answers 302" in capsys.readouterr().err
    server.redirects = {"/moved": f"{server.url}/a.bin"}
    assert mscol("download", "mine") == 0
    assert contents(Path("data/mine")) == {"a.bin": MUSIC}


def test_a_server_that_announces_more_than_there_is_room_for_is_not_read(
    mscol: Command, server: Server, offer: Offer, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(mine=[remote(server, "a.bin", MUSIC, size=None)])
    monkeypatch.setattr("mscol_cli.system.files.free_bytes", lambda _: HALF)
    assert mscol("download", "mine") == 1
    assert contents(Path("data/mine")) == {}


@pytest.mark.slow
def test_a_full_disk_keeps_what_came(
    mscol: Command, server: Server, offer: Offer, tmp_path: Path
) -> None:
    offer(mine=[remote(server, "a.bin", MUSIC)])
    done = subprocess.run(
        [sys.executable, "-m", "mscol_cli", "download", "mine"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000)),
    )
    assert done.returncode == 1
    assert mentions(done.stderr, "data/mine", "File too large")
    assert contents(Path("data/mine")) == {"a.bin.part": MUSIC[:300_000]}
    assert mscol("download", "mine") == 0
    assert server.requests[-1] == ("/a.bin", "bytes=300000-")


@pytest.mark.processes
def test_two_at_once_wait_for_each_other(
    mscol: Command, server: Server, offer: Offer, tmp_path: Path
) -> None:
    offer(mine=[remote(server, "a.bin", MUSIC)])
    with download_lock(Path("data/mine"), Silent()):
        process = subprocess.Popen(
            [sys.executable, "-m", "mscol_cli", "download", "mine"],
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
        )
        assert process.stderr is not None
        while not (line := process.stderr.readline()).startswith("waiting"):
            assert line
        Path("data/mine/a.bin").write_bytes(MUSIC)
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert server.requests == []
