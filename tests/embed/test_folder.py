"""`embed` into a folder of vectors: it grows, follows its inputs, and survives interruptions."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mscol_cli.embed.inputs import find_inputs
from mscol_cli.embed.pooling import pool_windows
from mscol_cli.embed.worker import Worker
from mscol_cli.errors import BadInputError
from mscol_cli.store import Store
from mscol_cli.vectors import VectorEntry, VectorFolder, VectorHeader
from tests.conftest import Command
from tests.helpers.audio import tones, write_audio, write_short
from tests.helpers.messages import mentions
from tests.helpers.vectors import read_table

Capture = pytest.CaptureFixture[str]
ROOT = Path(__file__).parents[2]
SMALL = ("--model", "untrained", "--encoder", "small", "--device", "cpu")


@pytest.fixture
def music(tmp_path: Path) -> Path:
    """Four short songs in two folders."""
    for row, name in enumerate(("a/1", "a/2", "b/1", "b/2")):
        write_audio(tmp_path / "music" / f"{name}.wav", tones(1.2 + row, seed=row))
    return tmp_path / "music"


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """Twenty short songs, one of them damaged."""
    for row in range(20):
        write_audio(tmp_path / "music" / f"{row:02}.wav", tones(1.0 + 0.1 * row, seed=row))
    (tmp_path / "music" / "07.wav").write_bytes(b"RIFF no more")
    return tmp_path / "music"


def test_silent_files_and_channels_that_cancel_are_noted_by_every_command(
    mscol: Command, music: Path, capsys: Capture
) -> None:
    left = tones(1.2)
    write_audio(music / "cancel.wav", np.concatenate([left, -left]))
    write_audio(music / "silence.wav", np.zeros_like(left))
    write_audio(music / "soft.wav", 1e-3 * left)
    for _ in range(2):
        assert mscol("embed", music, *SMALL, "-o", "v") == 0
        shown = capsys.readouterr().err
        assert "mono mix (2): cancel.wav, silence.wav\n" in shown
    assert mscol("vectors", "ls", "v") == 0
    listed = capsys.readouterr().out.splitlines()
    assert [line.split()[2] for line in listed if "silent" in line] == [
        "cancel.wav:",
        "silence.wav:",
    ]


def listing(path: Path) -> dict[str, str | None]:
    """Ids of a folder of vectors, with the reason of a failure."""
    return {entry.id: entry.failure for entry in VectorFolder.open(path).entries}


def lines(path: Path) -> list[str]:
    """The id of each line of the indexes."""
    texts = [index.read_text() for index in sorted(path.glob("*.jsonl"))]
    return [json.loads(line)["id"] for text in texts for line in text.splitlines()]


def contents(path: Path) -> dict[str, list[list[float]]]:
    folder = VectorFolder.open(path)
    return {entry.id: folder.read(entry).tolist() for entry in folder.entries}


def test_only_what_is_new_or_changed_is_embedded(
    mscol: Command, music: Path, tmp_path: Path, capsys: Capture
) -> None:
    assert mscol("embed", music, *SMALL, "-o", "v") == 0
    assert list(listing(tmp_path / "v")) == ["a/1.wav", "a/2.wav", "b/1.wav", "b/2.wav"]
    before = contents(tmp_path / "v")
    write_audio(music / "a" / "1.wav", tones(2.0, seed=9))
    write_audio(music / "c.wav", tones(1.2, seed=8))
    (music / "b" / "2.wav").unlink()
    capsys.readouterr()
    assert mscol("embed", music, *SMALL, "-o", "v", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["clips"], result["done_before"], result["removed"]) == (4, 2, 1)
    after = contents(tmp_path / "v")
    assert list(after) == ["a/1.wav", "a/2.wav", "b/1.wav", "c.wav"]
    assert {name for name in after if after[name] == before.get(name)} == {"a/2.wav", "b/1.wav"}
    written = lines(tmp_path / "v")
    assert mscol("embed", music, *SMALL, "-o", "v") == 0
    assert lines(tmp_path / "v") == written
    # A new folder has the same vectors, whose rounding depends on what is embedded together.
    assert mscol("embed", music, *SMALL, "-o", "again") == 0
    for name, rows in contents(tmp_path / "again").items():
        np.testing.assert_allclose(rows, after[name], rtol=1e-4, atol=1e-5)


def test_lines_that_another_process_has_overwritten_are_an_error(
    mscol: Command,
    music: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
) -> None:
    real = Worker.run

    def overwritten(worker: Worker, *arguments: Any) -> None:
        real(worker, *arguments)
        (index,) = (tmp_path / "v").glob("*.jsonl")
        index.write_bytes(index.read_bytes().splitlines(keepends=True)[0])

    monkeypatch.setattr(Worker, "run", overwritten)
    assert mscol("embed", music, *SMALL, "-o", "v") == 1
    assert mentions(capsys.readouterr().err, "v has lost the vectors of 3 files")
    monkeypatch.setattr(Worker, "run", real)
    assert mscol("embed", music, *SMALL, "-o", "v") == 0
    assert len(contents(tmp_path / "v")) == 4


def test_files_of_known_content_are_not_decoded_again(
    mscol: Command, music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert mscol("embed", music, *SMALL, "-o", "v") == 0
    before = contents(tmp_path / "v")
    moved = shutil.move(music, tmp_path / "moved")
    (tmp_path / "moved" / "a" / "1.wav").rename(tmp_path / "moved" / "renamed.wav")
    os.utime(tmp_path / "moved" / "a" / "2.wav", (1, 1))

    def decode(*_: object) -> None:
        raise AssertionError("decoded again")

    monkeypatch.setattr("mscol_cli.embed.inputs.load_waveform", decode)
    assert mscol("embed", moved, *SMALL, "-o", "v") == 0
    after = contents(tmp_path / "v")
    assert after.pop("renamed.wav") == before["a/1.wav"]
    assert after.items() <= before.items()
    paths = {entry.path for entry in VectorFolder.open(tmp_path / "v").entries}
    # What lay below another input is not known to have vanished.
    assert str(music / "a" / "1.wav") in paths
    assert str(tmp_path / "moved" / "b" / "2.wav") in paths


def test_failures_are_listed_and_tried_again(
    mscol: Command, music: Path, tmp_path: Path, capsys: Capture
) -> None:
    write_audio(music / "a" / "1.wav", tones(0.5))
    assert mscol("embed", music, *SMALL, "-o", "v") == 3
    assert "a/1.wav: lasts 0.500 s" in capsys.readouterr().err
    reason = listing(tmp_path / "v")["a/1.wav"]
    assert reason is not None
    assert "one window needs 0.995 s" in reason
    assert mscol("embed", music, *SMALL, "-o", "v") == 3
    write_audio(music / "a" / "1.wav", tones(1.2))
    assert mscol("embed", music, *SMALL, "-o", "v") == 0
    assert set(listing(tmp_path / "v").values()) == {None}


def test_short_files_are_listed_and_counted_in_every_run(
    mscol: Command, tmp_path: Path, capsys: Capture
) -> None:
    path = write_short(tmp_path / "music" / "a.mp3", tones(4.0))
    write_audio(tmp_path / "music" / "b.wav", tones(1.2))
    note = "a part of the audio is missing in 1 file: see 'mscol vectors ls v'"
    warning, missing = f"short {path.relative_to(tmp_path)}: ", "s shorter than its header says"
    assert mscol("embed", "music", *SMALL, "-o", "v") == 0
    errors = capsys.readouterr().err
    assert errors.count(warning) == 1
    assert mentions(errors, note)
    path.rename(path.with_name("renamed.mp3"))
    for _ in range(2):  # its vectors are copied, then kept
        assert mscol("embed", "music", *SMALL, "-o", "v") == 0
        errors = capsys.readouterr().err
        assert "short" not in errors
        assert mentions(errors, note)
    assert mscol("vectors", "ls", "v") == 0
    (line,) = (line for line in capsys.readouterr().out.splitlines() if "short" in line)
    assert " renamed.mp3: short: " in line
    assert line.endswith(missing)
    assert mscol("vectors", "info", "v") == 0
    assert "files with missing audio: 1 (see 'mscol vectors ls')" in capsys.readouterr().out


def test_a_file_that_no_longer_can_be_read_loses_its_vectors(
    mscol: Command, music: Path, tmp_path: Path
) -> None:
    assert mscol("embed", music, *SMALL, "-o", "v") == 0
    (music / "a" / "1.wav").write_bytes(b"")
    assert mscol("embed", music, *SMALL, "-o", "v") == 3
    assert listing(tmp_path / "v")["a/1.wav"] is not None
    for path in music.rglob("*.wav"):
        path.write_bytes(b"")
    assert mscol("embed", music, *SMALL, "-o", "v") == 1


def test_only_files_below_the_inputs_vanish(
    mscol: Command, music: Path, tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "other").mkdir()
    shutil.move(music / "b" / "1.wav", tmp_path / "other" / "song.wav")
    assert mscol("embed", music, tmp_path / "other", *SMALL, "-o", "v") == 0
    (tmp_path / "other" / "song.wav").unlink()
    (music / "a" / "1.wav").unlink()
    capsys.readouterr()
    assert mscol("embed", music, *SMALL, "-o", "v") == 0
    assert "v keeps 1 file of other inputs" in capsys.readouterr().err
    assert list(listing(tmp_path / "v")) == ["a/2.wav", "b/2.wav", "song.wav"]


def test_a_part_of_the_inputs_gets_shorter_ids(mscol: Command, music: Path, tmp_path: Path) -> None:
    assert mscol("embed", music, *SMALL, "-o", "v") == 0
    assert mscol("embed", music / "b", *SMALL, "-o", "v") == 0
    assert list(listing(tmp_path / "v")) == ["1.wav", "2.wav", "a/1.wav", "a/2.wav"]


def test_what_another_process_has_just_added_has_not_vanished(music: Path) -> None:
    before = find_inputs([music], "mixture")
    write_audio(music / "later.wav", tones(1.2))
    later = VectorEntry("later.wav", str(music / "later.wav"))
    assert not before.has_lost(later)
    (music / "later.wav").unlink()
    assert before.has_lost(later)


def test_a_broken_link_is_listed_and_vanishes(mscol: Command, music: Path, tmp_path: Path) -> None:
    (music / "z.wav").symlink_to(tmp_path / "file" / "x")
    (tmp_path / "file").write_text("")
    assert mscol("embed", music, *SMALL, "-o", "v") == 3
    assert list(listing(tmp_path / "v"))[-1] == "z.wav"
    (music / "z.wav").unlink()
    assert mscol("embed", music, *SMALL, "-o", "v") == 0
    assert "z.wav" not in listing(tmp_path / "v")


def test_a_vector_too_large_for_half_precision_is_a_failure() -> None:
    header = VectorHeader("m", "0", "small", 16000, 9, 9, "rms", 2, "mean", "float16")
    with pytest.raises(BadInputError, match=r"a\.wav: its vector exceeds float16"):
        pool_windows(np.array([[1.0, 1e5]], np.float32), header, "a.wav")


def test_an_id_of_another_file_is_refused(
    mscol: Command, music: Path, tmp_path: Path, capsys: Capture
) -> None:
    assert mscol("embed", music / "a", *SMALL, "-o", "v") == 0
    capsys.readouterr()
    assert mscol("embed", music / "b", *SMALL, "-o", "v") == 2
    assert mentions(capsys.readouterr().err, f"{music}/a/1.wav", f"{music}/b/1.wav")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--encoder", "sample_cnn"], "another model, untrained-small, not untrained-sample_cnn"),
        (["--hop", "0.5"], "hop 0.98 s, not 0.5 s"),
        (["--pool", "max"], "pool mean, not max"),
        (["--windows"], "pool mean, not none"),
        (["--precision", "float16"], "precision float32, not float16"),
    ],
)
def test_a_folder_with_other_vectors_is_refused(
    mscol: Command, music: Path, capsys: Capture, options: list[str], message: str
) -> None:
    assert mscol("embed", music / "a", *SMALL, "-o", "v") == 0
    capsys.readouterr()
    assert mscol("embed", music / "a", *SMALL, *options, "-o", "v") == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    assert message in line


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--pool", "median"], "--pool is 'median': use mean, max, none"),
        (["--pool", "max", "--windows"], "--windows means --pool none"),
        (["--precision", "int8"], "--precision is 'int8'"),
        (["--hop", "0"], "--hop takes seconds"),
        (["--hop", "nan"], "--hop takes seconds"),
        (["--source", "drums"], "takes stores only"),
        (["--jobs", 2, "--gpus", 2], "--jobs"),
        (["--gpus", 99], "--jobs 99"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_written(
    mscol: Command, music: Path, tmp_path: Path, capsys: Capture, options: list[str], message: str
) -> None:
    assert mscol("embed", music, *SMALL, *options, "-o", "v") == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "v").exists()


def test_a_folder_of_vectors_is_no_input(mscol: Command, music: Path, capsys: Capture) -> None:
    assert mscol("embed", music / "a", *SMALL, "-o", "v") == 0
    assert mscol("embed", "v", *SMALL, "-o", "x.npz") == 2
    assert "mscol vectors export v" in capsys.readouterr().err


def test_windows_are_pooled_at_any_hop(mscol: Command, music: Path, tmp_path: Path) -> None:
    song = music / "b" / "2.wav"
    for pool in ("none", "mean", "max"):
        options = ("--hop", 0.5, "--pool", pool, "--precision", "float16")
        assert mscol("embed", song, *SMALL, *options, "-o", pool) == 0
    folders = {pool: VectorFolder.open(tmp_path / pool) for pool in ("none", "mean", "max")}
    windows = folders["none"].matrix()
    (entry,) = folders["none"].entries
    assert folders["none"].start_s(entry).tolist() == [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0]
    assert {folder.entries[0].windows for folder in folders.values()} == {7}
    np.testing.assert_allclose(folders["mean"].matrix()[0], windows.mean(axis=0), atol=2e-3)
    np.testing.assert_array_equal(folders["max"].matrix()[0], windows.max(axis=0))
    assert (tmp_path / "mean" / "00000.f16").stat().st_size == 2 * 256


@pytest.mark.slow
def test_one_source_of_a_store_is_embedded(
    mscol: Command, store: Path, tmp_path: Path, capsys: Capture
) -> None:
    assert mscol("embed", store, *SMALL, "--source", "drums", "-o", "drums") == 0
    opened, folder = Store.open(store), VectorFolder.open(tmp_path / "drums")
    assert folder.header.source == "drums"
    row = opened.index.track_ids.index(folder.entries[0].id)
    drums = opened.waveform(row, opened.index.sources.index("drums"))
    write_audio(tmp_path / "drums.wav", drums[None])
    assert mscol("embed", "drums.wav", *SMALL, "-o", "one.npz") == 0
    np.testing.assert_allclose(
        read_table(tmp_path / "one.npz").embeddings[0], folder.matrix()[0], rtol=1e-3, atol=1e-3
    )
    written = lines(tmp_path / "drums")
    assert mscol("embed", store, *SMALL, "--source", "drums", "-o", "drums") == 0
    assert lines(tmp_path / "drums") == written
    capsys.readouterr()
    assert mscol("embed", store, *SMALL, "-o", "drums") == 2
    assert "source drums, not mixture" in capsys.readouterr().err
    assert mscol("embed", store, *SMALL, "--source", "flute", "-o", "flute") == 2
    assert "has no source 'flute': use mixture, " in capsys.readouterr().err


def test_a_silent_source_has_no_vector_and_is_no_failure(
    mscol: Command, tmp_path: Path, capsys: Capture
) -> None:
    for name in ("one", "two"):
        for source in ("drums", "vocals"):
            silent = (name, source) == ("one", "vocals")
            waveform = tones(1.5) * (not silent)
            write_audio(tmp_path / "stems" / name / f"{source}.wav", waveform)
    assert mscol("separate", "stems", "--separator", "stems", "-o", "s") == 0
    capsys.readouterr()
    assert mscol("embed", "s", *SMALL, "--source", "vocals", "-o", "v") == 0
    assert "no vector for 1 track: vocals is silent" in capsys.readouterr().err
    assert [entry.rows for entry in VectorFolder.open(tmp_path / "v").entries] == [0, 1]


@pytest.mark.slow
@pytest.mark.processes
def test_killed_at_twelve_moments_the_vectors_are_the_same(
    mscol: Command, many: Path, tmp_path: Path
) -> None:
    assert mscol("embed", many, *SMALL, "-o", "whole") == 3
    script = ROOT / "tests" / "processes" / "killed_embedding.py"
    command = (script, tmp_path / "whole", tmp_path / "v", "embed", many, *SMALL)
    done = subprocess.run(
        [sys.executable, *map(str, command), "-o", str(tmp_path / "v")],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]


_INTERRUPTED = """
import signal, sys
import mscol_cli.embed.workflow, soundfile, torchaudio
from mscol_cli.vectors import writer
from tests.processes.signalled import run
signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs inherit "ignore"
writer._FLUSH_SECONDS = 0.0  # a fast machine embeds all files before it writes the first
sys.exit(run(int(sys.argv[1]), signal.SIGINT, sys.argv[2:]))
"""


@pytest.mark.slow
@pytest.mark.processes
@pytest.mark.parametrize("output", ["v", "x.npz"])
def test_ctrl_c_keeps_what_is_done_and_the_same_command_resumes(
    mscol: Command, many: Path, tmp_path: Path, capsys: Capture, output: str
) -> None:
    command = ["embed", str(many), *SMALL, "-o", output]
    done = subprocess.run(
        [sys.executable, "-c", _INTERRUPTED, "10", *command],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 130, done.stderr
    assert "run the same command again to resume" in done.stderr
    (folder,) = [path.parent for path in tmp_path.glob("*/vectors.json")]
    saved = len(lines(folder))
    assert 0 < saved < 20
    capsys.readouterr()
    assert mscol(*command, "--json") == 3
    result = json.loads(capsys.readouterr().out)
    assert result["clips"] == 19
    assert 0 < result["done_before"] <= saved
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.slow
@pytest.mark.processes
def test_processes_share_the_work_and_take_over_that_of_a_dead_one(
    mscol: Command, many: Path, tmp_path: Path
) -> None:
    assert mscol("embed", many, *SMALL, "-o", "whole") == 3
    command = [sys.executable, "-m", "mscol_cli", "embed", str(many), *SMALL, "-o", "v"]
    started = [subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE) for _ in range(2)]
    while not list(tmp_path.glob("v/*.lock")):
        assert started[0].poll() is None
    started[0].send_signal(signal.SIGKILL)
    printed = [process.communicate()[0] for process in started]
    assert started[1].returncode == 3
    assert b"19 clips" in printed[1]
    assert contents(tmp_path / "v") == contents(tmp_path / "whole")
    written = [name for name in lines(tmp_path / "v") if name != "07.wav"]
    assert sorted(written) == sorted({*written})


@pytest.mark.slow
@pytest.mark.processes
def test_several_jobs_make_what_one_makes(
    mscol: Command, many: Path, tmp_path: Path, capfd: Capture
) -> None:
    assert mscol("embed", many, *SMALL, "-o", "one.npz") == 3
    capfd.readouterr()
    assert mscol("embed", many, *SMALL, "-o", "two.npz", "--jobs", 2) == 3
    printed = capfd.readouterr()
    assert printed.err.count("skipped") == 2  # by the worker, and in the last line
    assert "19 clips" in printed.out
    one, two = read_table(tmp_path / "one.npz"), read_table(tmp_path / "two.npz")
    assert two.ids == one.ids
    np.testing.assert_array_equal(two.embeddings, one.embeddings)
    assert not list(tmp_path.glob("*.part"))


def test_ranks_fill_a_folder_only(
    mscol: Command, music: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("SLURM_PROCID", "1")
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "2")
    assert mscol("embed", music, *SMALL, "-o", "x.npz") == 2
    assert "use -o x, then 'mscol vectors export x -o x.npz'" in capsys.readouterr().err
    assert mscol("embed", music, *SMALL, "-o", "v", "--jobs", 2) == 2
    (music / "a" / "1.wav").write_bytes(b"")
    capsys.readouterr()
    for warnings in (1, 0):  # what failed is retried by the first process only
        assert mscol("embed", music, *SMALL, "-o", "v") == 0  # the first process answers for all
        printed = capsys.readouterr()
        assert "the first process prints the result" in printed.out
        assert printed.err.count("warning: ") == warnings
