"""separate, interrupted and shared: many processes, any of which may die, and one store."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mscol_cli.store import Store
from mscol_cli.store.plan import Plan
from tests.conftest import Command
from tests.helpers.audio import tones, write_audio
from tests.helpers.command import run_mscol
from tests.helpers.files import digests
from tests.helpers.messages import mentions

Capture = pytest.CaptureFixture[str]
ROOT = Path(__file__).parents[2]
ENTRY = [sys.executable, "-m", "mscol_cli", "separate"]


@pytest.fixture
def music(tmp_path: Path) -> Path:
    """Twenty short tracks, one of them damaged, one a byte short of a second."""
    for number in range(20):
        write_audio(tmp_path / "music" / f"{number:02}.wav", tones(1.0 + 0.3 * number, seed=number))
    (tmp_path / "music" / "07.wav").write_bytes(b"RIFF no more")
    write_audio(tmp_path / "music" / "12.wav", tones(0.5))
    return tmp_path / "music"


@pytest.mark.slow
@pytest.mark.processes
def test_killed_at_many_moments_the_store_is_the_same_bytes(
    mscol: Command, music: Path, tmp_path: Path
) -> None:
    for number in (*range(3, 7), *range(14, 20)):
        (music / f"{number:02}.wav").unlink()
    assert mscol("separate", music, "--separator", "none", "-o", "whole.store") == 3
    whole, store = tmp_path / "whole.store", tmp_path / "x.store"
    script = ROOT / "tests" / "processes" / "killed.py"
    options = ("separate", music, "--separator", "none", "-o", store)
    arguments = [str(part) for part in (script, whole, store, *options)]
    done = subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]


@pytest.mark.slow
@pytest.mark.processes
def test_several_jobs_make_the_store_that_one_makes(
    mscol: Command, music: Path, tmp_path: Path, capfd: Capture
) -> None:
    assert mscol("separate", music, "--separator", "none", "-o", "one.store") == 3
    capfd.readouterr()
    assert mscol("separate", music, "--separator", "none", "-o", "two.store", "--jobs", 2) == 3
    told = capfd.readouterr()
    assert digests(tmp_path / "two.store") == digests(tmp_path / "one.store")
    assert told.err.count("skipped") == 3  # each of two once, and the last line
    assert "18 tracks" in told.out


@pytest.mark.slow
@pytest.mark.processes
def test_the_store_does_not_depend_on_the_number_of_threads(tmp_path: Path) -> None:
    for number, seconds in enumerate((3.0, 1.5)):
        waveform = tones(seconds, 44_100, seed=number)
        write_audio(tmp_path / "music" / f"{number}.wav", waveform, 44_100)
    model = ("--separator", "openunmix", "--model", "mini", "--opt", "niter=0")
    for threads in "12":
        options = (*model, "--device", "cpu", "-o", f"{threads}.store")
        done = run_mscol("separate", "music", *options, folder=tmp_path, OMP_NUM_THREADS=threads)
        assert done.returncode == 0, done.stderr
    assert digests(tmp_path / "1.store") == digests(tmp_path / "2.store")


@pytest.mark.slow
@pytest.mark.processes
def test_a_rank_that_dies_costs_nothing_but_its_own_unfinished_tracks(
    mscol: Command, music: Path, tmp_path: Path
) -> None:
    assert mscol("separate", music, "--separator", "none", "-o", "whole.store") == 3
    command = [*ENTRY, str(music), "--separator", "none", "-o", str(tmp_path / "x.store")]
    ranks = [
        subprocess.Popen(command, env={**os.environ, "RANK": str(rank), "WORLD_SIZE": "3"})
        for rank in range(3)
    ]
    while not (tmp_path / "x.store" / "work").exists():
        time.sleep(0.01)
    ranks[1].kill()
    codes = sorted(rank.wait() for rank in ranks)
    # The rank that seals answers for all. The first one, if it comes later, tries failures again.
    assert codes in ([-9, 0, 3], [-9, 3, 3], [0, 0, 3])
    assert digests(tmp_path / "x.store") == digests(tmp_path / "whole.store")


@pytest.mark.slow
@pytest.mark.processes
def test_jobs_end_when_what_started_them_is_killed_and_what_they_did_is_kept(
    mscol: Command, tmp_path: Path, capsys: Capture
) -> None:
    for number in range(40):
        write_audio(tmp_path / "music" / f"{number:02}.wav", tones(8.0, seed=number))
    model = ["--separator", "openunmix", "--model", "mini", "--opt", "niter=1"]
    command = [*ENTRY, str(tmp_path / "music"), *model, "--jobs", "2"]
    store = tmp_path / "music.store"
    started = subprocess.Popen(command, stderr=subprocess.PIPE)
    while not any(path.read_bytes().count(b"\n") for path in store.glob("work/*/tracks.jsonl")):
        assert started.poll() is None
        time.sleep(0.005)
    started.kill()
    # The workers hold the other end of the pipe: it is at its end when the last of them is.
    started.communicate(timeout=90)
    plan = Plan.read(store)
    assert plan is not None, "they worked on to the end"
    journals = {path: path.read_bytes() for path in store.glob("work/*/tracks.jsonl")}
    kept = sum(journal.count(b"\n") for journal in journals.values())
    capsys.readouterr()
    assert mscol(*command[3:], "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["tracks"], result["done_before"]) == (40, kept)


def test_slurm_ranks_are_workers_too(
    mscol: Command, music: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("SLURM_PROCID", "1")
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "4")
    assert mscol("separate", music, "--separator", "none", "--jobs", 2) == 2
    assert "one of several already" in capsys.readouterr().err
    assert mscol("separate", music, "--separator", "none") == 3
    assert Store.open(music.parent / "music.store").header.tracks == 18


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--jobs", 2, "--gpus", 2], "--jobs"),
        (["--jobs", 0], "--jobs"),
        (["--gpus", 99], "--jobs 99"),
    ],
)
def test_contradictions_are_refused(
    mscol: Command, music: Path, capsys: Capture, options: list[object], message: str
) -> None:
    assert mscol("separate", music, "--separator", "none", *options) == 2
    assert message in capsys.readouterr().err
    assert not (music.parent / "music.store").exists()


@pytest.mark.slow
def test_only_failures_are_tried_again(mscol: Command, music: Path, capsys: Capture) -> None:
    run = ["separate", music, "--separator", "none", "--json"]
    assert mscol(*run) == 3
    write_audio(music / "07.wav", tones(2.0, seed=7))
    write_audio(music / "new.wav", tones(2.0, seed=8))
    capsys.readouterr()
    assert mscol(*run, "--retry-failed") == 3
    result = json.loads(capsys.readouterr().out)
    assert (result["tracks"], [item["input"] for item in result["failures"]]) == (19, ["12"])
    assert mscol(*run) == 3
    assert json.loads(capsys.readouterr().out)["tracks"] == 20
    (music / "12.wav").unlink()
    assert mscol(*run, "--retry-failed") == 0
    store = Store.open(music.parent / "music.store")
    assert (store.header.failures, store.header.tracks) == (0, 20)
    before = digests(store.path)
    assert mscol(*run) == 0
    assert digests(store.path) == before


def test_failures_of_a_store_that_does_not_exist_cannot_be_retried(
    mscol: Command, music: Path, capsys: Capture
) -> None:
    assert mscol("separate", music, "--separator", "none", "--retry-failed") == 4
    assert "music.store does not exist" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.processes
def test_jobs_name_every_input_if_none_can_be_used(
    mscol: Command, tmp_path: Path, capfd: Capture
) -> None:
    (tmp_path / "music").mkdir()
    for name in ("a", "b"):
        (tmp_path / "music" / f"{name}.wav").write_bytes(b"no audio")
    assert mscol("separate", "music", "--separator", "none", "--jobs", 2, "--json") == 1
    printed = capfd.readouterr()
    failures = json.loads(printed.out)["failures"]
    assert [failure["input"] for failure in failures] == ["a", "b"]
    assert "ended early" not in printed.err
    assert printed.err.count("error: ") == 1
    assert not (tmp_path / "music.store").exists()


def test_a_renamed_input_is_known_by_its_content(
    mscol: Command, music: Path, capsys: Capture
) -> None:
    assert mscol("separate", music, "--separator", "none") == 3
    (music / "03.wav").rename(music / "three.wav")
    (music / "04.wav").unlink()
    capsys.readouterr()
    assert mscol("separate", music, "--separator", "none") == 3
    said = capsys.readouterr().err
    assert re.search(r"\bthree\b.*\b03\b", said)
    assert "1 track not" in said
    assert "such as 04" in said


@pytest.mark.slow
def test_what_it_takes_is_said_before_and_a_dry_run_stops_there(
    mscol: Command, tmp_path: Path, capsys: Capture
) -> None:
    for number in range(4):
        write_audio(tmp_path / "music" / f"{number}.wav", tones(9.0))
    run = ["separate", "music", "--model", "mini", "--opt", "niter=1"]
    assert mscol(*run, "--dry-run", "--json") == 0
    estimate = json.loads(capsys.readouterr().out)
    assert (estimate["tracks"], estimate["exact"]) == (4, True)
    assert estimate["hours"] == pytest.approx(0.01)
    assert estimate["bytes_needed"]["music.store"] == 36 * 16_000 * 2 * 5
    assert estimate["expected_seconds"] == pytest.approx(36 / estimate["speed"])
    assert not (tmp_path / "music.store").exists()
    assert mscol(*run, "--dry-run") == 0
    said = capsys.readouterr()
    assert mentions(said.err, "4 tracks", "36 s")
    assert "expected time: " in said.err
    assert 'model = "mini"' in said.out
    assert mscol(*run) == 0
    used = sum(path.stat().st_size for path in (tmp_path / "music.store" / "shards").iterdir())
    assert used == pytest.approx(estimate["bytes_needed"]["music.store"], rel=0.01)


def test_inputs_done_before_are_counted_in_words(
    mscol: Command, tmp_path: Path, capsys: Capture
) -> None:
    for number in range(3):
        write_audio(tmp_path / "music" / f"{number}.wav", tones(1.2))
        assert mscol("separate", "music", "--separator", "none") == 0
    output = capsys.readouterr()
    assert mentions(output.err, "1 track (1 is done), ", "1 track (2 are done), ")
    printed = [line for line in output.out.splitlines() if "of music" in line]
    counts = ["of music, in", "(1 input was done before)", "(2 inputs were done before)"]
    assert all(count in line for count, line in zip(counts, printed, strict=True))


@pytest.mark.parametrize("dry_run", [(), ("--dry-run",)])
def test_what_cannot_be_the_store_is_refused_before_anything_is_estimated(
    mscol: Command, tmp_path: Path, capsys: Capture, dry_run: tuple[str, ...]
) -> None:
    write_audio(tmp_path / "music" / "0.wav", tones(1.2))
    Path("file").write_text("mine")
    write_audio(tmp_path / "folder" / "mine.wav", tones(1.2))
    none = ("separate", "music", "--separator", "none", "-o")
    for output in ("file", "folder"):
        assert mscol(*none, output, *dry_run) == 2
        assert mentions(capsys.readouterr().err, output, "-o")
    assert mscol(*none, "music.store") == 0
    capsys.readouterr()
    assert mscol("separate", "music", "--model", "mini", *dry_run) == 2
    printed = capsys.readouterr().err
    assert "separator none -> openunmix" in printed
    assert "to separate" not in printed


def test_options_that_checking_chunks_does_not_use_are_refused(
    mscol: Command, tmp_path: Path, capsys: Capture
) -> None:
    write_audio(tmp_path / "a.wav", tones(1.2))
    check = ("separate", "a.wav", "--separator", "none", "--check-chunking")
    options = [("--jobs", 2), ("--export", "flac"), ("--retry-failed",), ("--dry-run",)]
    for option in (*options, ("--gpus", 2), ("--output", "a.store")):
        assert mscol(*check, *option) == 2
        assert mentions(capsys.readouterr().err, "--check-chunking", str(option[0]))


def test_no_time_is_promised_where_decoding_takes_most_of_it(
    mscol: Command, tmp_path: Path, capsys: Capture
) -> None:
    write_audio(tmp_path / "music" / "0.wav", tones(1.2))
    assert mscol("separate", "music", "--separator", "none", "--dry-run") == 0
    printed = capsys.readouterr().err
    assert "to separate: 1 track" in printed
    assert "expected time" not in printed


def test_without_room_nothing_is_begun(
    mscol: Command, music: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mscol_cli.separate.estimate.free_bytes", lambda _: 1_000_000)
    assert mscol("separate", music, "--separator", "none") == 1
    assert "music.store needs 2." in capsys.readouterr().err
    assert mscol("separate", music, "--separator", "none", "--dry-run") == 1
    assert not (music.parent / "music.store").exists()


@pytest.mark.slow
@pytest.mark.processes
def test_shares_of_a_run_do_not_depend_on_where_it_was_interrupted(
    mscol: Command, music: Path, tmp_path: Path, capsys: Capture
) -> None:
    """Real separation in batches, killed by a real signal, gone on with by two jobs."""
    model = ["--separator", "openunmix", "--model", "mini", "--opt", "niter=0"]
    command = [*ENTRY, str(music), *model]
    assert mscol(*command[3:], "-o", "a.store") == 3
    running = subprocess.Popen([*command, "-o", str(tmp_path / "b.store")])
    journal = tmp_path / "b.store" / "work" / "00000" / "tracks.jsonl"
    while not (journal.exists() and journal.read_bytes().count(b"\n") >= 2):
        time.sleep(0.005)
    running.kill()
    running.wait()
    capsys.readouterr()
    assert mscol("store", "info", "b.store", "--json") == 0
    so_far = json.loads(capsys.readouterr().out)
    assert (so_far["sealed"], so_far["tracks"] >= 2) == (False, True)
    rest = [*command, "-o", str(tmp_path / "b.store"), "--jobs", "2"]
    threads = {**os.environ, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
    assert subprocess.run(rest, env=threads, check=False).returncode == 3
    assert np.load(tmp_path / "b.store" / "levels.npy").shape[1] == 5
    assert digests(tmp_path / "b.store") == digests(tmp_path / "a.store")
