"""`mscol.load` and `Model.embed`."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import mscol
from mscol_cli.contracts.progress import Silent
from mscol_cli.embed.request import EmbedRequest
from mscol_cli.embed.workflow import run
from tests.helpers.audio import tones, write_audio


@pytest.fixture(scope="module")
def model() -> mscol.Model:
    return mscol.load("untrained", encoder="small", device="cpu")


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("songs")
    return [
        write_audio(folder / f"{row}.wav", tones(seconds, 44_100, 2, row), 44_100)
        for row, seconds in enumerate((1.2, 3.1, 2.0))
    ]


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    (tmp_path / "bad.wav").write_bytes(b"no audio")
    return tmp_path / "bad.wav"


def test_files_get_the_vectors_of_the_command(
    model: mscol.Model, songs: Sequence[Path], tmp_path: Path
) -> None:
    output = tmp_path / "out.npz"
    run(EmbedRequest(tuple(songs), "untrained", "small", output, device="cpu"), Silent())
    with np.load(output) as file:
        expected = file["embeddings"]
    vectors = model.embed(songs)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model.embed(str(songs[1])), expected[1], rtol=1e-5, atol=1e-6)


def test_windows_come_with_their_starts(model: mscol.Model, songs: Sequence[Path]) -> None:
    one, many = model.embed(songs[1], windows=True), model.embed(songs, windows=True)
    assert one.start_s.tolist() == [0.0, 0.98, 1.96]
    assert one.vectors.shape == (3, model.dim)
    assert [len(windows.vectors) for windows in many] == [1, 3, 2]
    np.testing.assert_allclose(one.vectors.mean(axis=0), model.embed(songs[1]), atol=1e-6)


def test_a_waveform_has_the_vector_of_its_file(model: mscol.Model, songs: Sequence[Path]) -> None:
    waveform = tones(3.1, 44_100, 2, seed=1)
    waveform.flags.writeable = False  # as one that is memory-mapped
    expected = model.embed(songs[1])
    tensor = torch.from_numpy(waveform.copy()).double().requires_grad_()
    for audio in (waveform, waveform.astype(np.float64), tensor):
        np.testing.assert_allclose(model.embed(audio, 44_100), expected, rtol=1e-4, atol=1e-5)
    assert model.embed(waveform[0], 44_100, windows=True).vectors.shape == (3, model.dim)


def test_no_files_have_no_vectors(model: mscol.Model) -> None:
    assert model.embed([]).shape == (0, model.dim)
    assert model.embed([], windows=True) == []


def test_a_bad_file_of_many_raises_and_is_named(
    model: mscol.Model, songs: Sequence[Path], bad: Path
) -> None:
    before = threading.active_count()
    with pytest.raises(mscol.BadInputError, match=r"bad\.wav"):
        model.embed([songs[0], bad, *songs])
    assert threading.active_count() <= before


def test_a_missing_file_is_the_error_of_the_command_before_anything_is_embedded(
    model: mscol.Model, songs: Sequence[Path], bad: Path
) -> None:
    with pytest.raises(mscol.MissingDataError, match=r"^gone\.wav: no such file or folder$"):
        model.embed([bad, *songs, Path("gone.wav")])


def test_a_bad_file_gets_nan_on_request_and_a_warning(
    model: mscol.Model, songs: Sequence[Path], bad: Path
) -> None:
    with pytest.warns(mscol.MscolWarning, match=r"skipped .*bad\.wav"):
        vectors = model.embed([songs[0], bad, songs[1]], errors="nan")
    assert np.isnan(vectors).all(axis=1).tolist() == [False, True, False]
    np.testing.assert_allclose(vectors[2], model.embed(songs[1]), atol=1e-6)
    with pytest.warns(mscol.MscolWarning):
        (windows,) = model.embed([bad], windows=True, errors="nan")
    assert windows.vectors.shape == (0, model.dim)
    with pytest.warns(mscol.MscolWarning, match="skipped the waveform"):
        vector = model.embed(np.full(16_000, np.nan, np.float32), 16_000, errors="nan")
    assert np.isnan(vector).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros(16_000, np.float32),), "the sample rate in Hz is missing"),
        ((np.zeros(16_000, np.int16), 16_000), "type int16.*divide"),
        ((torch.zeros(16_000, dtype=torch.int16), 16_000), "type int16.*divide"),
        ((np.zeros((16_000, 2), np.float32), 16_000), r"\(16000, 2\).*\(channels, samples\)"),
        ((np.zeros(16_000, np.float32), 0), "whole number of Hz above 0, not 0"),
        (("song.mp3", 16_000), "files have their own"),
        (([np.zeros(3)],), "not ndarray"),
        ((".",), "is a folder"),
    ],
)
def test_arguments_that_contradict_are_refused(
    model: mscol.Model, arguments: tuple[Any, ...], message: str
) -> None:
    with pytest.raises(mscol.UsageError, match=message):
        model.embed(*arguments)


def test_a_short_or_damaged_waveform_is_a_bad_input(model: mscol.Model) -> None:
    with pytest.raises(mscol.BadInputError, match=r"the waveform: lasts 0\.500 s"):
        model.embed(np.zeros(8_000, np.float32), 16_000)
    with pytest.raises(mscol.BadInputError, match="not finite"):
        model.embed(np.full(16_000, np.nan, np.float32), 16_000)


def test_errors_takes_two_words(model: mscol.Model) -> None:
    with pytest.raises(mscol.UsageError, match="'raise' or 'nan', not 'skip'"):
        model.embed([], errors="skip")  # type: ignore[call-overload]  # what is tested


def test_progress_counts_the_files(model: mscol.Model, songs: Sequence[Path]) -> None:
    updates: list[mscol.ProgressUpdate] = []
    model.embed(songs, progress=updates.append)
    assert [update.done for update in updates] == [0, 1, 2, 3]
    assert {(update.stage, update.total, update.unit) for update in updates} == {
        ("embedding", 3, "clips")
    }


def test_an_interrupt_ends_the_threads(model: mscol.Model, songs: Sequence[Path]) -> None:
    def interrupt(update: mscol.ProgressUpdate) -> None:
        if update.done:
            raise KeyboardInterrupt

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        model.embed(list(songs) * 5, progress=interrupt)
    assert threading.active_count() <= before


def test_a_run_has_its_facts(trained: Path) -> None:
    model = mscol.load(trained, device="cpu")
    assert model.name == "run@6"
    assert (model.step, model.dim, model.sample_rate) == (6, 256, 16_000)
    assert len(model.hash) == 64
    assert model.info["encoder"]["name"] == "small"
    assert not model.encoder.training
    assert repr(model).startswith("<mscol.Model run@6, 256 dimensions, hash ")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"model": "nowhere"}, mscol.MissingDataError, "nowhere is not a model"),
        ({"model": "untrained", "encoder": "smal"}, mscol.UsageError, "small"),
        ({"model": "nowhere", "encoder": "small"}, mscol.UsageError, "--model untrained"),
        ({"model": "untrained", "device": "gpu"}, mscol.UsageError, "unknown device 'gpu'"),
        ({"model": "untrained", "device": "meta"}, mscol.UsageError, "unknown device 'meta'"),
    ],
)
def test_a_model_that_cannot_be_loaded_raises_what_the_command_prints(
    arguments: dict[str, str], error: type[mscol.MscolError], message: str
) -> None:
    with pytest.raises(error, match=message):
        mscol.load(**arguments)


def test_loading_leaves_the_random_state() -> None:
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    mscol.load("untrained", encoder="small", device="cpu")
    assert torch.equal(torch.rand(3), expected)


def test_a_model_works_in_a_thread_and_prints_nothing(
    model: mscol.Model, songs: Sequence[Path], capfd: pytest.CaptureFixture[str]
) -> None:
    vectors: list[Any] = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        thread = threading.Thread(target=lambda: vectors.append(model.embed(songs)))
        thread.start()
        thread.join()
    np.testing.assert_array_equal(vectors[0], model.embed(songs))
    assert capfd.readouterr() == ("", "")
