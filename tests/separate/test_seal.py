"""The end of a separation by several workers: the one that seals removes what others look at."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NoReturn

import pytest

from mscol_cli.contracts.progress import Silent
from mscol_cli.separate.worker import Worker
from mscol_cli.store import SeparatorIdentity
from mscol_cli.store.joining import join, store_lock
from mscol_cli.store.plan import Plan, PlannedTrack, is_planned
from mscol_cli.system.files import file_hash
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


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _refuse(*_: object) -> NoReturn:
    raise AssertionError


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


def test_a_worker_whose_inputs_are_all_planned_takes_no_lock(
    mscol: Command, music: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["separate", music, "--separator", "none", "-o", "a.store"]
    with monkeypatch.context() as interrupted:
        interrupted.setattr(Worker, "fill", _interrupt)
        assert mscol(*command) == 130
    monkeypatch.setattr("mscol_cli.separate.plan.store_lock", _refuse)
    assert mscol(*command) == 0


def test_a_file_whose_time_changed_is_hashed_once_by_a_command(
    mscol: Command, music: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["separate", music, "--separator", "none", "-o", "a.store"]
    assert mscol(*command) == 0
    os.utime(music / "0.wav", (1, 1))
    (music / "new.wav").write_bytes((music / "1.wav").read_bytes())
    hashed: list[Path] = []

    def count(path: Path) -> str:
        hashed.append(path)
        return file_hash(path)

    @contextmanager
    def late_lock(store: Path) -> Iterator[Lock]:
        """Another command seals first, so that the inputs are compared again."""
        monkeypatch.setattr("mscol_cli.separate.plan.store_lock", store_lock)
        assert mscol(*command) == 0
        with store_lock(store) as lock:
            yield lock

    monkeypatch.setattr("mscol_cli.store.records.file_hash", count)
    monkeypatch.setattr("mscol_cli.separate.plan.store_lock", late_lock)
    assert mscol(*command) == 0
    assert hashed.count(music / "0.wav") == 1


def test_inputs_are_not_compared_again_under_the_lock(
    mscol: Command, music: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[bool] = []

    @contextmanager
    def watched_lock(store: Path) -> Iterator[Lock]:
        with store_lock(store) as lock, monkeypatch.context() as held:
            held.setattr("mscol_cli.store.records.Stored.holds", lambda *_: compared.append(True))
            yield lock

    monkeypatch.setattr("mscol_cli.separate.plan.store_lock", watched_lock)
    assert mscol("separate", music, "--separator", "none", "-o", "a.store") == 0
    assert not compared


def test_a_worker_that_waits_looks_less_and_less_often(
    music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "a.store"
    plan = Plan(0, 0).extended([PlannedTrack("0", {"mixture": str(music / "0.wav")})], 0)
    plan.write(store)
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 8:  # the other worker seals
            (store / "work" / "plan.json").unlink()

    monkeypatch.setattr("mscol_cli.separate.worker.time.sleep", pause)
    monkeypatch.setattr(Plan, "read", _refuse)  # of 100,000 tracks it takes seconds
    worker = Worker(store, NoSeparator(), SeparatorIdentity("none"), None, Silent())  # type: ignore[arg-type]
    with Lock(plan.units[0].lock(store)):
        worker.fill(plan, 0, 2)
    assert (pauses[0], pauses[-1]) == (0.5, 10.0)
    assert pauses == sorted(pauses)


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
