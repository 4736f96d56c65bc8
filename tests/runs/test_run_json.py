"""run.json: training settings that are missing, or in part."""

from pathlib import Path
from typing import Any

import pytest

from mscol_cli.errors import UsageError
from mscol_cli.recipes.options import TrainingSettings
from mscol_cli.runs.layout import read_run, write_run
from mscol_cli.system.values import as_json

TRAINING = as_json(TrainingSettings(steps=7, device="cpu"))


def written(folder: Path, training: Any) -> dict[str, Any]:
    write_run(folder, {"encoder": {"name": "small"}, "training": training, "step": 3})
    return read_run(folder)


def test_training_settings_are_complete_or_absent(tmp_path: Path) -> None:
    assert "training" not in written(tmp_path, None)
    of_other_versions = {**TRAINING, "of a later version": []}
    del of_other_versions["device"]
    assert written(tmp_path, of_other_versions)["training"] == {**TRAINING, "device": "auto"}


def test_runs_from_before_an_option_were_trained_as_by_its_default(tmp_path: Path) -> None:
    earlier = {key: value for key, value in TRAINING.items() if key != "weight_decay"}
    assert written(tmp_path, earlier)["training"] == TRAINING


@pytest.mark.parametrize("name", ["steps", "batch_size", "seed"])
def test_settings_that_decide_the_result_are_not_assumed(tmp_path: Path, name: str) -> None:
    incomplete = {key: value for key, value in TRAINING.items() if key != name}
    with pytest.raises(UsageError, match=f"run.json is damaged .training has no {name}"):
        written(tmp_path, incomplete)
