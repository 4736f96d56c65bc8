"""Objectives joined by a plus: one objective's crops and loss under another's augmentation."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from mscol_cli.api import Augmentation, Augmented, ObjectiveContext, UsageError
from mscol_cli.engine.models import build_encoder, build_objective
from mscol_cli.errors import PluginError
from mscol_cli.host import find_objective, find_part, load_registry
from mscol_objectives.msa import MusicSourceAssociation
from mscol_objectives.mws import MaskWarpShift
from mscol_objectives.options import MsaOptions, MwsAugmentationOptions
from tests.conftest import Command
from tests.plugins.objectives.test_association import make_index

CONTEXT = ObjectiveContext(embedding_dim=24, crop_samples=15_920, start_grid=160)
REGISTRY = load_registry()


def msa_mws(fill: float = -3.0) -> Augmented:
    msa = MusicSourceAssociation(MsaOptions(stems=("vocals",), silent_share=1.0), CONTEXT)
    return Augmented(msa, [MaskWarpShift(MwsAugmentationOptions(fill=fill), CONTEXT)])


def test_crops_and_loss_are_the_first_parts_augmentation_the_seconds() -> None:
    composed = msa_mws()
    plan = composed.plan(make_index(), np.random.default_rng(1), 64)
    alone = composed.objective.plan(make_index(), np.random.default_rng(1), 64)
    for view, crops in alone.views.items():
        np.testing.assert_array_equal(plan.views[view].start, crops.start)
    labels = {name: torch.from_numpy(label) for name, label in plan.labels.items()}
    views = {view: torch.ones(64, 98, 64) for view in plan.views}
    changed = composed.augment_features(views, labels)
    assert (changed["anchor"] != 1).any()
    projections = composed.project({view: torch.randn(64, 24) for view in views})
    loss = composed.objective.loss(projections, labels)[0]
    assert torch.equal(composed.loss(projections, labels)[0], loss)


def test_the_constant_of_a_silent_source_stays_as_msa_wrote_it() -> None:
    composed = msa_mws()
    plan = composed.plan(make_index(silent_vocals=20), np.random.default_rng(0), 64)
    labels = {name: torch.from_numpy(label) for name, label in plan.labels.items()}
    assert labels["silent"].any()
    changed = composed.augment_features(
        {view: torch.ones(64, 98, 64) for view in plan.views}, labels
    )
    assert (changed["positive"][labels["silent"]] == 0).all()


def test_augmentations_of_one_kind_of_label_do_not_meet() -> None:
    parts = find_objective(REGISTRY, "mws+random-mask")
    objective = build_objective(parts, build_encoder(find_part(REGISTRY, "encoder", "small"), 0), 0)
    assert isinstance(objective, Augmented)
    assert len(objective.augmentations) == 2
    labels = objective.plan(make_index(), np.random.default_rng(0), 8).labels
    assert {name.partition(".")[0] for name in labels} == {"augmentation0", "augmentation1"}


def test_random_masks_are_of_every_view_but_the_anchor() -> None:
    parts = find_objective(REGISTRY, "multi-positive+random-mask")
    objective = build_objective(parts, build_encoder(find_part(REGISTRY, "encoder", "small"), 0), 0)
    plan = objective.plan(make_index(), np.random.default_rng(0), 8)
    labels = {name: torch.from_numpy(label) for name, label in plan.labels.items()}
    views = {view: torch.zeros(8, 98, 64) for view in plan.views}
    changed = objective.augment_features(views, labels)
    assert len(changed) > 2
    assert {view for view, rows in changed.items() if (rows == 0).all()} == {"anchor"}


def test_leaking_masks_need_a_single_positive() -> None:
    parts = find_objective(REGISTRY, "multi-positive+mws", ["leak=true"])
    objective = build_objective(parts, build_encoder(find_part(REGISTRY, "encoder", "small"), 0), 0)
    with pytest.raises(UsageError, match="leak of objective 'mws' needs the views anchor and"):
        objective.plan(make_index(), np.random.default_rng(0), 8)


def test_options_find_their_part_by_key_or_by_name() -> None:
    parts = find_objective(
        REGISTRY,
        "msa+mws+random-mask",
        ["silent_share=0.25", "mws.fill=-1", "random-mask.keep=0.5"],
        {"mws": {"leak": True, "last_offset": False}, "msa": {"silent_share": 0.75}},
    )
    msa, mws, mask = (part.options for part in parts)
    assert (msa.silent_share, mws.fill, mws.leak, mask.keep) == (0.25, -1.0, True, 0.5)
    assert not hasattr(mws, "last_offset")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("msa+cola", [], "'cola' has no augmentation"),
        ("msa+msa", [], "repeats a name"),
        ("msa+nothing", [], "'nothing'"),
        ("msa+mws", ["fil=1"], "'fill'"),
        ("msa+mws", ["cola.fill=1"], "'cola'"),
        ("msa+mws", ["mws.silent_share=1"], "no option of objective 'mws'"),
        ("msa+mws", ["leak"], "KEY=VALUE"),
    ],
)
def test_what_does_not_compose_is_refused(name: str, options: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message.replace("?", r"\?")):
        find_objective(REGISTRY, name, options)


@pytest.mark.parametrize("method", ["mix", "draw"])
def test_an_augmentation_that_returns_nothing_is_named(method: str) -> None:
    silent = type("Silent", (Augmentation,), {method: lambda *_: None})()
    composed = Augmented(msa_mws(), [silent])
    with pytest.raises(PluginError, match=f"Silent: {method} returned NoneType"):
        composed.plan(make_index(), np.random.default_rng(1), 4)


@pytest.mark.slow
def test_a_composed_run_trains_resumes_and_records_its_parts(
    mscol: Command, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--encoder", "small", "--batch-size", 4, "--device", "cpu"]
    start = ["pretrain", store, "--objective", "msa+mws", "--opt", "mws.fill=-2", *options]
    assert mscol(*start, "--steps", 1) == 0
    run = tmp_path / "runs" / "msa+mws-small-1"
    recorded = json.loads((run / "run.json").read_text())["objective"]
    assert [part["name"] for part in recorded["parts"]] == ["msa", "mws"]
    assert recorded["parts"][1]["options"]["fill"] == -2
    assert mscol("pretrain", "--resume", "--steps", 2) == 0
    assert mscol("pretrain", "--resume", "--steps", 2, "--opt", "fill=-3") == 2
    assert "fill -2.0 -> -3.0" in capsys.readouterr().err
