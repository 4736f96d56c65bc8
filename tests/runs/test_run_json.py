"""run.json: training settings that are missing, or in part."""

from pathlib import Path
from typing import Any

import pytest

from mscol_cli.recipes.options import TrainingSettings
from mscol_cli.runs.layout import read_run, write_run
from mscol_cli.system.values import as_json

DEFAULTS = as_json(TrainingSettings())


@pytest.mark.parametrize(
    ("training", "expected"),
    [
        (None, None),
        ({}, DEFAULTS),
        ({"steps": 7, "of a later version": []}, {**DEFAULTS, "steps": 7}),
    ],
)
def test_training_settings_are_complete_or_absent(
    tmp_path: Path, training: Any, expected: Any
) -> None:
    write_run(tmp_path, {"encoder": {"name": "small"}, "training": training, "step": 3})
    settings = read_run(tmp_path)
    assert settings.get("training") == expected
    assert ("training" in settings) == (expected is not None)
    assert settings["step"] == 3
