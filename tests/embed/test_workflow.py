"""`embed`: files and stores in, one file of vectors out."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet
from safetensors import safe_open

from mscol_cli.contracts.progress import Silent
from mscol_cli.embed.request import EmbedRequest
from mscol_cli.embed.workflow import EmbedResult, run
from mscol_cli.errors import BadInputError, MissingDataError, MscolError, UsageError
from mscol_cli.store import Store
from tests.conftest import Command
from tests.helpers.audio import tones, write_audio
from tests.helpers.messages import mentions
from tests.helpers.vectors import FORMATS, read_table


@pytest.fixture
def music(tmp_path: Path) -> Path:
    for row, seconds in enumerate((1.2, 3.1, 2.0)):
        write_audio(tmp_path / "music" / f"disc {row}" / "song, one.wav", tones(seconds, seed=row))
    return tmp_path / "music"


def embed(output: Path, *inputs: Path, windows: bool = False) -> EmbedResult:
    request = EmbedRequest(
        inputs,
        model="untrained",
        encoder="small",
        output=output,
        pool="none" if windows else "mean",
        device="cpu",
    )
    return run(request, Silent())


@pytest.mark.parametrize("windows", [False, True])
def test_every_format_holds_the_same(music: Path, tmp_path: Path, windows: bool) -> None:
    tables = []
    for suffix in FORMATS:
        embed(tmp_path / f"out{suffix}", music, windows=windows)
        tables.append(read_table(tmp_path / f"out{suffix}"))
    assert tables[0].embeddings.dtype == np.float32
    for table in tables[1:]:
        assert table.ids == tables[0].ids
        np.testing.assert_array_equal(table.embeddings, tables[0].embeddings)
        np.testing.assert_array_equal(table.start_s, tables[0].start_s)


def test_a_file_has_the_mean_of_its_windows(music: Path, tmp_path: Path) -> None:
    result = embed(tmp_path / "clips.npz", music)
    detailed = embed(tmp_path / "windows.npz", music, windows=True)
    clips, windows = read_table(result.output), read_table(detailed.output)
    assert clips.ids == tuple(f"disc {row}/song, one.wav" for row in range(3))
    assert clips.start_s is None
    assert windows.start_s is not None
    assert windows.start_s.tolist() == [0.0, 0.0, 0.98, 1.96, 0.0, 0.98]
    for name, vector in zip(clips.ids, clips.embeddings, strict=True):
        rows = [row for row, owner in enumerate(windows.ids) if owner == name]
        np.testing.assert_allclose(vector, windows.embeddings[rows].mean(axis=0), atol=1e-6)
    counts = (result.clips, result.windows, result.dim, result.failures)
    assert counts == (3, 6, 256, [])
    assert detailed.windows == 6


@pytest.mark.parametrize("name", ["out.txt", "out.npy", ".", "full"])
def test_an_output_that_cannot_be_is_refused_before_any_work(tmp_path: Path, name: str) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"\.npz, \.csv, \.safetensors, \.parquet"):
        embed(tmp_path / name, tmp_path / "gone")
    assert (tmp_path / "full" / "notes.txt").read_text() == "mine"


def test_a_file_or_folder_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UsageError, match="is a file"):
        embed(tmp_path / "file", tmp_path / "gone")


def test_a_bad_file_is_reported_and_the_rest_embedded(music: Path, tmp_path: Path) -> None:
    write_audio(music / "short.wav", tones(0.5))
    (music / "a.wav").write_bytes(b"")
    result = embed(tmp_path / "out.npz", music)
    assert [name for name, _ in result.failures] == ["a.wav", "short.wav"]
    assert "0.995 s" in result.failures[1][1]
    assert len(read_table(result.output).ids) == result.clips == 3


def test_nothing_is_written_when_no_input_can_be_used(tmp_path: Path) -> None:
    write_audio(tmp_path / "a" / "short.wav", tones(0.5))
    (tmp_path / "out.npz").write_text("mine")
    with pytest.raises(BadInputError, match=r"short\.wav: .*0\.500 s"):
        embed(tmp_path / "out.npz", tmp_path / "a")
    write_audio(tmp_path / "a" / "shorter.wav", tones(0.4))
    with pytest.raises(BadInputError, match="of 2 inputs"):
        embed(tmp_path / "out.npz", tmp_path / "a")
    assert (tmp_path / "out.npz").read_text() == "mine"


def test_the_reason_of_an_only_file_is_printed_once(
    mscol: Command, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    write_audio(tmp_path / "short.wav", tones(0.5))
    untrained = ["--model", "untrained", "--encoder", "small", "--device", "cpu"]
    assert mscol("embed", "short.wav", *untrained, "-o", "v") == 1
    assert capsys.readouterr().err.count("0.500 s") == 1


def test_an_empty_folder_is_missing_data(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingDataError, match="no audio files"):
        embed(tmp_path / "out.npz", tmp_path / "empty")


def test_the_mixtures_of_a_store_are_embedded(store: Path, tmp_path: Path) -> None:
    result = embed(tmp_path / "store.npz", store)
    opened = Store.open(store)
    assert read_table(result.output).ids == opened.index.track_ids
    write_audio(tmp_path / "first.wav", opened.waveform(0)[None])
    alone = read_table(embed(tmp_path / "alone.npz", tmp_path / "first.wav").output)
    np.testing.assert_allclose(
        alone.embeddings[0], read_table(result.output).embeddings[0], rtol=1e-3, atol=1e-4
    )


def test_ids_of_files_and_tracks_do_not_depend_on_the_other_inputs(
    store: Path, music: Path, tmp_path: Path
) -> None:
    result = embed(tmp_path / "all.npz", store, music)
    names = read_table(result.output).ids
    assert names[:3] == tuple(f"disc {row}/song, one.wav" for row in range(3))
    assert names[3:] == Store.open(store).index.track_ids
    with pytest.raises(UsageError, match=rf"{names[3]}: {store} and {store}"):
        embed(tmp_path / "twice.npz", store, store)


def test_two_files_of_one_id_are_refused(
    mscol: Command, music: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mscol("embed", music / "disc 0", music / "disc 1") == 2
    message = capsys.readouterr().err
    assert mentions(message, f"{music}/disc 0/song, one.wav", f"{music}/disc 1/song, one.wav")


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_output_names_the_model_and_its_hash(music: Path, tmp_path: Path, suffix: str) -> None:
    output = embed(tmp_path / f"out{suffix}", music).output
    if suffix == ".npz":
        with np.load(output, allow_pickle=False) as file:
            found = {name: str(file[name]) for name in ("model", "model_hash")}
    elif suffix == ".parquet":
        metadata = parquet.read_schema(output).metadata
        found = {name.decode(): value.decode() for name, value in metadata.items()}
    elif suffix == ".csv":
        found = json.loads((tmp_path / "out.csv.json").read_text())
    else:
        with safe_open(output, framework="numpy") as file:
            found = file.metadata()
    assert found["model"] == "untrained-small"
    assert re.fullmatch("[0-9a-f]{64}", found["model_hash"])


def test_an_unwritable_output_is_one_line(music: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MscolError, match="file"):
        embed(tmp_path / "file" / "out.npz", music)


def test_a_model_is_found_by_the_name_of_its_run(
    mscol: Command,
    trained: Path,
    music: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(trained, tmp_path / "runs" / "mine")
    assert mscol("embed", music, "--model", "mine", "--device", "cpu") == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert mentions(line, "runs/mine/checkpoints/step-00000006", "step 6")
    assert mscol("embed", music, "--model", "gone") == 4
    assert "gone " in capsys.readouterr().err


def test_the_command_takes_the_latest_run_and_says_what_it_skipped(
    mscol: Command,
    trained: Path,
    music: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "latest").symlink_to(trained)
    (music / "broken.flac").write_bytes(b"fLaC")
    assert mscol("embed", music, "--json", "--device", "cpu") == 3
    printed = capsys.readouterr()
    result = json.loads(printed.out)
    assert (result["output"], result["clips"], result["dim"]) == ("embeddings.npz", 3, 256)
    assert result["model"] == "run@6"
    first = printed.err.splitlines()[0]
    assert mentions(first, f"{trained}/checkpoints/step-00000006", "step 6")
    assert "broken.flac" in printed.err
    assert read_table(tmp_path / "embeddings.npz").embeddings.shape == (3, 256)
