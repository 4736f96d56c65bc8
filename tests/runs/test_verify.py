"""`mscol runs verify`: damage in a run is named."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Command

Capture = pytest.CaptureFixture[str]
STEP = "checkpoints/step-00000006"


@pytest.fixture
def copy(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "runs" / "a", symlinks=True))


def verified(mscol: Command, capsys: Capture, run: object, code: int = 0) -> Any:
    assert mscol("runs", "verify", run, "--json") == code
    return json.loads(capsys.readouterr().out)


def flip(path: Path, at: int = -1) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def test_an_intact_run_passes_by_its_name(mscol: Command, copy: Path, capsys: Capture) -> None:
    assert mscol("runs", "verify", "a") == 0
    assert capsys.readouterr().out.startswith("runs/a: 3 files of 1 checkpoint match")
    result = verified(mscol, capsys, "a")
    assert (result["files"], result["checkpoints"], result["unhashed"]) == (3, [6], [])


@pytest.mark.parametrize("name", ["encoder", "objective", "optimizer"])
def test_one_changed_bit_of_weights_is_named(
    mscol: Command, copy: Path, name: str, capsys: Capture
) -> None:
    flip(copy / STEP / f"{name}.safetensors")
    assert mscol("runs", "verify", copy) == 1
    captured = capsys.readouterr()
    assert f"warning: {STEP}/{name}.safetensors: has changed" in captured.err
    assert captured.out == ""


def test_a_missing_file_is_named(mscol: Command, copy: Path, capsys: Capture) -> None:
    (copy / STEP / "optimizer.safetensors").unlink()
    result = verified(mscol, capsys, copy, code=4)
    assert (result["missing"], result["damaged"]) == ([f"{STEP}/optimizer.safetensors"], [])


@pytest.mark.parametrize("name", ["run.json", "recipe.toml", "state.json", f"{STEP}/run.json"])
def test_damaged_settings_are_named(mscol: Command, copy: Path, name: str, capsys: Capture) -> None:
    (copy / name).write_text("{")
    (line,) = verified(mscol, capsys, copy, code=1)["damaged"]
    assert name in line


def test_damaged_metrics_and_probes_are_named(mscol: Command, copy: Path, capsys: Capture) -> None:
    with (copy / "metrics.jsonl").open("a") as file:
        file.write("{]\n")
    (copy / "probes" / "fma").mkdir(parents=True)
    (copy / "probes" / "fma" / "probe.json").write_text("[]")
    lines = verified(mscol, capsys, copy, code=1)["damaged"]
    assert [name in line for line, name in zip(lines, ("metrics", "fma"), strict=True)]


def test_a_finished_run_without_its_last_checkpoint_is_noticed(
    mscol: Command, copy: Path, capsys: Capture
) -> None:
    shutil.rmtree(copy / STEP)
    result = verified(mscol, capsys, copy, code=4)
    assert result["missing"] == [STEP]
    assert "best" in result["damaged"][0]


def test_a_checkpoint_under_another_name_is_noticed(
    mscol: Command, copy: Path, capsys: Capture
) -> None:
    shutil.copytree(copy / STEP, copy / "checkpoints" / "step-00000007")
    assert "step 6" in verified(mscol, capsys, copy, code=1)["damaged"][0]


def test_weights_without_checksums_are_listed_and_cut_ones_noticed(
    mscol: Command, copy: Path, capsys: Capture
) -> None:
    settings = copy / STEP / "run.json"
    content = json.loads(settings.read_text())
    del content["checksums"]
    settings.write_text(json.dumps(content))
    assert len(verified(mscol, capsys, copy)["unhashed"]) == 3
    weights = copy / STEP / "encoder.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4])
    assert "encoder" in verified(mscol, capsys, copy, code=1)["damaged"][0]


def test_names_in_checksums_do_not_leave_the_checkpoint(
    mscol: Command, copy: Path, capsys: Capture
) -> None:
    settings = copy / STEP / "run.json"
    content = json.loads(settings.read_text())
    content["checksums"] = {"../../../secret.safetensors": "0"}
    settings.write_text(json.dumps(content))
    assert "secret" in verified(mscol, capsys, copy, code=1)["damaged"][0]


def test_a_folder_that_is_not_a_run(mscol: Command, tmp_path: Path, capsys: Capture) -> None:
    assert mscol("runs", "verify", "none") == 4
    assert "none is not a run" in capsys.readouterr().err
