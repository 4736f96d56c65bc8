"""The end of a separation by several workers: the one that seals removes what others look at."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from mscol_cli.contracts.progress import Silent
from mscol_cli.separate.worker import Worker
from mscol_cli.store import SeparatorIdentity
from mscol_cli.store.joining import join, store_lock
from mscol_cli.store.plan import Plan, PlannedTrack, is_planned
from mscol_cli.system.locks import Lock
from tests.conftest import Command
from tests.helpers.audio import tones, write_audio

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def music(tmp_path: Path) -> Path:
    for number in range(4):
        write_audio(tmp_path / "music" / f"{number}.wav", tones(1.5, seed=number))
    return tmp_path / "music"


class NoSeparator:
    sources = ()


def test_a_worker_that_comes_while_the_units_are_removed_ends_well(tmp_path: Path) -> None:
    store = tmp_path / "a.store"
    plan = Plan(0, 0).extended([PlannedTrack("a", {"mixture": "a.wav"})], 0)
    # The plan is removed first, then the files of the units, store.json among the first.
    (store / "work" / "00000").mkdir(parents=True)
    (store / "work" / "00000" / "tracks.jsonl").write_text("{}\n")
    worker = Worker(store, NoSeparator(), SeparatorIdentity("none"), None, Silent())  # type: ignore[arg-type]
    worker.fill(plan, 0, 2)
    assert not worker.seal()
    assert worker.failures == []


def test_a_plan_that_the_file_system_shows_late_is_not_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "a.store"
    Plan(0, 0).write(store)
    os.utime(store / "work", (0, 0))

    def is_shown(path: Path) -> bool:
        """As NFS does: not until this client itself has changed the folder."""
        return is_planned(path) and (path / "work").stat().st_mtime > 0

    monkeypatch.setattr("mscol_cli.store.joining.is_planned", is_shown)
    with store_lock(store):
        assert Plan.read(store) == Plan(0, 0)
    assert Plan.read(store) == Plan(0, 0)


def test_a_store_that_is_sealed_while_another_command_waits_keeps_its_checksums(
    mscol: Command, music: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (music / "bad.wav").write_bytes(b"no audio")  # tried again by the second command
    command = ["separate", music, "--separator", "none", "-o", "a.store"]

    @contextmanager
    def late_lock(store: Path) -> Iterator[Lock]:
        monkeypatch.setattr("mscol_cli.separate.plan.store_lock", store_lock)
        assert mscol(*command) == 3
        with store_lock(store) as lock:
            yield lock

    monkeypatch.setattr("mscol_cli.separate.plan.store_lock", late_lock)
    assert mscol(*command) == 3
    assert mscol("store", "verify", "a.store") == 0


def test_a_store_that_lacks_a_planned_track_is_not_sealed(
    mscol: Command, music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    store = tmp_path / "a.store"

    def join_without(path: Path, plan: Plan) -> object:
        tracks = path / "work" / "00000" / "tracks.jsonl"
        tracks.write_text("".join(tracks.read_text().splitlines(keepends=True)[:-1]))
        return join(path, plan)

    monkeypatch.setattr("mscol_cli.separate.worker.join", join_without)
    assert mscol("separate", music, "--separator", "none", "-o", store) == 1
    assert "1 planned track missing from" in capsys.readouterr().err
    assert not json.loads((store / "store.json").read_text())["sealed"]


def test_verify_counts_the_planned_tracks(mscol: Command, music: Path, capsys: Capture) -> None:
    assert mscol("separate", music, "--separator", "none", "-o", "a.store") == 0
    header = Path("a.store/store.json")
    content = json.loads(header.read_text())
    assert content["inputs"] == 4
    header.write_text(json.dumps({**content, "inputs": 5}))
    assert mscol("store", "verify", "a.store") == 1
    assert "5 inputs were planned, but 4" in capsys.readouterr().err


def test_a_worker_that_comes_after_the_seal_leaves_failures_to_the_first(
    mscol: Command, music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    (music / "bad.wav").write_bytes(b"no audio")
    command = ["separate", music, "--separator", "none", "-o", "a.store"]
    assert mscol(*command) == 3
    capsys.readouterr()
    monkeypatch.setenv("WORLD_SIZE", "4")
    begun = {"in the next job": time.time() + 1, "in the job that sealed": 0.0}
    for job, rank, code, warnings in (
        ("in the job that sealed", "3", 0, 0),
        ("in the job that sealed", "0", 0, 0),
        ("in the next job", "3", 0, 0),
        ("in the next job", "0", 3, 1),
    ):
        monkeypatch.setenv("RANK", rank)
        monkeypatch.setattr("mscol_cli.separate.workflow.launched_at", partial(float, begun[job]))
        assert mscol(*command) == code
        assert capsys.readouterr().err.count("warning: ") == warnings
    (music / "new.wav").write_bytes((music / "0.wav").read_bytes())
    assert mscol(*command) == 3  # there is work, and this one seals
