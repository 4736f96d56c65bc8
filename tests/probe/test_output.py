"""When `probe --reuse` and `reproduce` take a result that is there for finished."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from mscol_cli.host import load_registry
from mscol_cli.probe.output import why_unfinished
from mscol_cli.probe.request import ProbeRequest
from mscol_cli.probe.result import LabelBudget, ProbeResult, Score, ScoredSet, read, write
from mscol_cli.probe.settings import ProbeSettings, resolve_settings

DATA = Path("data/fma")


def settings(**request: Any) -> ProbeSettings:
    return resolve_settings(ProbeRequest("fma", **request), load_registry())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A result of task fma without recipe, beside a file of scores."""
    made = settings()
    result = ProbeResult(
        task="fma",
        data=str(DATA),
        options=asdict(made.part.options),
        protocol=made.described_protocol(),
        recipe="",
        model="msa-1@4",
        model_hash="abc",
        model_step=4,
        seeds=made.classifiers,
        test_sets=(),
        counts={},
        windows={},
        classes=(),
        folder=tmp_path,
    )
    write(result)
    result.scores_path.touch()
    return tmp_path


def test_a_result_of_the_same_settings_is_finished(folder: Path) -> None:
    assert why_unfinished(folder, settings(), DATA, "abc") is None


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        ({"seeds": 2}, "seeds is 5, not 2"),
        ({"protocol": ("hidden=8",)}, "protocol.hidden is 0, not 8"),
        ({"recipe": "probe.toml"}, "recipe is none, not probe.toml"),
        ({"attribute": True}, "stems is none, not data/fma.store"),
    ],
)
def test_other_settings_are_named(
    folder: Path, request_: dict[str, Any], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    Path("probe.toml").write_text("[probe]\nseeds = 5\n")
    assert why_unfinished(folder, settings(**request_), DATA, "abc") == reason


def test_label_budgets_of_fewer_draws_are_not_finished(folder: Path) -> None:
    options: dict[str, Any] = {"label_fractions": (0.5, 1.0), "classifier": "linear"}
    one = {"accuracy": Score(0.5, 0.4, 0.6, 0.0, (0.5, 0.5))}
    budgets = [LabelBudget(share, 2, (ScoredSet("test", 4, one),)) for share in (0.5, 1.0)]
    made = settings(seeds=2, **options)
    shape: dict[str, Any] = {"protocol": made.described_protocol(), "seeds": made.classifiers}
    write(replace(read(folder), label_budgets=budgets, **shape))
    assert why_unfinished(folder, made, DATA, "abc") is None
    more = settings(seeds=6, **options)
    assert why_unfinished(folder, more, DATA, "abc") == "draws is 2, not 6"


def test_other_data_and_other_weights_are_named(folder: Path) -> None:
    assert why_unfinished(folder, settings(), Path("else"), "abc") == "data is data/fma, not else"
    assert why_unfinished(folder, settings(), DATA, "d") == "model_hash is abc, not d"
    assert why_unfinished(folder, settings(), DATA, None) == "model_hash is abc, not none"


@pytest.mark.parametrize("name", ["scores.safetensors", "probe.json"])
def test_a_result_without_one_of_its_files_is_not_finished(folder: Path, name: str) -> None:
    (folder / name).unlink()
    assert why_unfinished(folder, settings(), DATA, "abc") == ""


def test_a_damaged_result_is_not_finished(folder: Path) -> None:
    (folder / "probe.json").write_text("{")
    assert why_unfinished(folder, settings(), DATA, "abc") == "the existing result cannot be read"
