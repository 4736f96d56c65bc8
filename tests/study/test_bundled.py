"""The studies about sources: every stage is a command that can be run."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from mscol_cli.study.results import Probing
from mscol_cli.study.stages import ComputeOptions, StudyPaths
from tests.conftest import Command


@pytest.mark.slow
@pytest.mark.parametrize("study", ["sources", "sources-demo"])
def test_sources_trains_on_each_source_alone_and_on_all(
    study: str, mscol: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mscol("reproduce", study, "--dry-run", "--json") == 0
    stages = json.loads(capsys.readouterr().out)["items"]
    lines = [shlex.split(one["command"]) for one in stages]
    pretrain = [line for line in lines if line[1:2] == ["pretrain"]]
    stems = [line[line.index("--opt") + 1] for line in pretrain if "--opt" in line]
    assert len(pretrain) == 5
    assert stems == ["stems=vocals", "stems=bass", "stems=drums", "stems=other"]


@pytest.mark.slow
@pytest.mark.parametrize(("study", "estimated"), [("separation", 2), ("separation-demo", 1)])
def test_separation_compares_true_estimated_mixed_and_degraded_stems(
    study: str, estimated: int, mscol: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mscol("reproduce", study, "--dry-run", "--json") == 0
    stages = json.loads(capsys.readouterr().out)["items"]
    lines = [one["command"] for one in stages if "mscol separate" in one["command"]]
    assert sum("--separator openunmix" in line for line in lines) == estimated
    assert sum("mix=random" in line for line in lines) == 1
    assert sum("bleed_db=-10" in line for line in lines) == 1
    # Separating alike twice would waste hours.
    assert len({line.partition(" -o ")[0] for line in lines}) == len(lines)


def test_only_tasks_with_classifiers_get_the_number_of_seeds() -> None:
    paths = StudyPaths(Path("data"), Path("runs"), Path("probes"))
    words = {
        task: Probing(task, None, 3, paths, ComputeOptions()).words() for task in ("fma", "stems")
    }
    assert "--seeds" in words["fma"]
    assert "--seeds" not in words["stems"]
