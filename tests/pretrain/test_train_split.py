"""Pre-training on the clips that a task trains on, out of a store that holds all of them."""

import json
import re
import shutil
from pathlib import Path

import pytest

from mscol_cli.runs.tracks import CHOSEN_TRACKS, copy_chosen, count_chosen
from mscol_cli.synthetic import Collection
from tests.conftest import Command

QUICK = ["--objective", "cola", "--encoder", "small", "--batch-size", 4, "--device", "cpu"]


@pytest.fixture
def mtat_store(mscol: Command, collection: Collection, tmp_path: Path) -> Path:
    """`data/mtat`, and a store of all its clips."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mtat").symlink_to(collection.mtat, target_is_directory=True)
    assert mscol("separate", "data/mtat", "--separator", "none") == 0
    return tmp_path / "data" / "mtat.store"


def test_no_clip_of_validation_or_test_is_trained_on(
    mscol: Command, mtat_store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train = ["pretrain", *QUICK, "--steps", 1]
    assert mscol(*train, "--train-split", "mtat", "-o", "run") == 0
    assert "training clips of 'mtat'" in capsys.readouterr().err
    tracks = (tmp_path / "run" / "tracks.txt").read_text().splitlines()
    assert tracks
    assert {track[0] for track in tracks} <= set("0123456789ab")
    assert json.loads((tmp_path / "run" / "run.json").read_text())["train_split"] == "mtat"
    # A later change of the data set does not change the run.
    (tmp_path / "data" / "mtat").unlink()
    assert mscol("pretrain", "--resume", "-o", "run", "--steps", 2) == 0
    assert mscol("pretrain", "--resume", "-o", "run", "--train-split", "all") == 2
    assert "train_split mtat -> all" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.usefixtures("draft_pictures")
def test_probes_tables_and_reports_count_the_test_clips_seen_in_pre_training(
    mscol: Command, mtat_store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for run, split in (("all", "all"), ("train", "mtat")):
        train = ["pretrain", *QUICK, "--steps", 1, "--train-split", split, "-o", run]
        assert mscol(*train) == 0
        assert mscol("probe", "mtat", "--model", run, "--seeds", 1) == 0
        page = capsys.readouterr().out
        assert ("test clips were in the pre-training music" in page) == (split == "all")
    shutil.copytree(tmp_path / "train" / "checkpoints" / "best", tmp_path / "copy")
    assert mscol("probe", "mtat", "--model", "copy", "--seeds", 1) == 0
    assert "test clips were in the pre-training music" not in capsys.readouterr().out
    train = ["pretrain", *QUICK, "--steps", 1, "--train-split", "mtat"]
    assert mscol(*train, "--init", "all", "-o", "tuned") == 0
    assert mscol("probe", "mtat", "--model", "tuned", "--seeds", 1) == 0
    note = "were in the pre-training music of this encoder"
    assert note in capsys.readouterr().out  # in that of its initial weights
    models = ("--model", "all", "--model", "train", "--seeds", 1)
    assert mscol("probe", "mtat", *models, "--reuse", "-o", "table") == 0
    page = capsys.readouterr().out
    assert (tmp_path / "table" / "probes.md").read_text().strip() in page
    (line,) = [line for line in page.splitlines() if note in line]
    assert line.startswith("- mtat, all@1: ")
    notes = json.loads((tmp_path / "table" / "probes.json").read_text())["notes"]
    assert [one["models"] for one in notes if note in one["note"]] == [["all@1"]]
    single = json.loads((tmp_path / "all" / "probes" / "mtat" / "probe.json").read_text())
    assert single["notes"]
    assert {one["note"] for one in notes} >= set(single["notes"])
    assert mscol("report", "all", "train", "--neighbours", 0, "-o", "report") == 0
    assert f"test clips {note}" in (tmp_path / "report" / "report.md").read_text()


@pytest.mark.slow
def test_test_clips_are_counted_in_a_store_of_one_of_their_folders(
    mscol: Command, mtat_store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = next(path for path in (tmp_path / "data/mtat").iterdir() if path.name in "def")
    assert mscol("separate", folder, "--separator", "none", "-o", "part.store") == 0
    train = ["pretrain", "part.store", "--objective", "cola", "--encoder", "small"]
    assert mscol(*train, "--batch-size", 2, "--steps", 1, "-o", "run") == 0
    capsys.readouterr()
    assert mscol("probe", "mtat", "--model", "run", "--seeds", 1) == 0
    clips = len(list(folder.iterdir()))
    assert re.search(rf"\b{clips} of \d+ test clips were in", capsys.readouterr().out)


def test_the_data_set_may_be_elsewhere(
    mscol: Command, mtat_store: Path, collection: Collection, tmp_path: Path
) -> None:
    (tmp_path / "data" / "mtat").unlink()
    split = f"mtat={collection.mtat}"
    train = ["pretrain", mtat_store, *QUICK, "--steps", 1]
    assert mscol(*train, "--train-split", split, "-o", "run") == 0
    tracks = (tmp_path / "run" / "tracks.txt").read_text().splitlines()
    assert {track[0] for track in tracks} <= set("0123456789ab")
    assert tracks


def test_training_clips_without_audio_are_counted(
    mscol: Command,
    mtat_store: Path,
    collection: Collection,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(collection.mtat, tmp_path / "part")
    gone = sorted((tmp_path / "part").glob("[0-9ab]/*.mp3"))[0]
    gone.unlink()
    train = ["pretrain", mtat_store, *QUICK, "--steps", 1]
    assert mscol(*train, "--train-split", f"mtat={tmp_path / 'part'}") == 0
    name = gone.relative_to(tmp_path / "part")
    assert f"clips of 'mtat' without audio: 1, such as {name}." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("split", "code", "message"),
    [
        ("mtta", 2, "'mtat'"),
        ("fma", 4, "fma_metadata/tracks.csv"),
        ("mtat", 2, "none of the"),
    ],
)
def test_a_split_that_cannot_be_used_is_refused_before_anything_is_made(
    split: str,
    code: int,
    message: str,
    mscol: Command,
    mtat_store: Path,
    store: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert mscol("pretrain", store, *QUICK, "--train-split", split) == code
    assert message in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_a_model_made_from_a_run_has_its_list_of_tracks(tmp_path: Path) -> None:
    run, model = tmp_path / "run", tmp_path / "model"
    for folder, text in ((run, "a\nb\n"), (model, "of an earlier run\n")):
        folder.mkdir()
        (folder / CHOSEN_TRACKS).write_text(text)
    copy_chosen(run, model)
    assert (model / CHOSEN_TRACKS).read_text() == "a\nb\n"
    (run / CHOSEN_TRACKS).unlink()
    copy_chosen(run, model)
    assert count_chosen(model) is None
