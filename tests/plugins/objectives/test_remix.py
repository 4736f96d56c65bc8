"""Random gains of sources: which crops get them, and with which distribution."""

from pathlib import Path

import numpy as np
import pytest

from mscol_cli.api import Augmented, ObjectiveContext
from mscol_objectives.msa import MusicSourceAssociation
from mscol_objectives.mws import MaskWarpShift
from mscol_objectives.options import (
    MsaOptions,
    MwsAugmentationOptions,
    RemixAugmentationOptions,
    RemixOptions,
    SubmixturesOptions,
)
from mscol_objectives.remix import Remix, RemixCola
from mscol_objectives.submixtures import Submixtures
from tests.conftest import Command
from tests.helpers.audio import tones, write_audio
from tests.plugins.objectives.test_published import four_stems

CONTEXT = ObjectiveContext(embedding_dim=24, crop_samples=15_920, start_grid=160)
REMIX = RemixAugmentationOptions(range_db=6.0)


def test_both_crops_of_cola_have_gains_of_their_own_uniform_in_decibels() -> None:
    plan = RemixCola(RemixOptions(range_db=6.0), CONTEXT).plan(
        four_stems(), np.random.default_rng(0), 256
    )
    anchor, positive = (crops.gains for crops in plan.views.values())
    assert anchor is not None
    assert positive is not None
    assert not anchor[:, 0].any()
    assert abs(np.corrcoef(anchor[:, 1:].ravel(), positive[:, 1:].ravel())[0, 1]) < 0.1
    decibels = 20 * np.log10(anchor[:, 1:])
    assert np.histogram(decibels, 4, (-6, 6))[0] == pytest.approx(256, abs=60)


def test_msa_remixes_the_anchor_and_keeps_its_positive_and_its_segments() -> None:
    msa = MusicSourceAssociation(MsaOptions(), CONTEXT)
    composed = Augmented(msa, [Remix(REMIX, CONTEXT)])
    plan = composed.plan(four_stems(), np.random.default_rng(3), 128)
    alone = msa.plan(four_stems(), np.random.default_rng(3), 128)
    assert plan.views["anchor"].gains is not None
    assert plan.views["positive"].gains is None
    for view in ("anchor", "positive"):
        np.testing.assert_array_equal(plan.views[view].start, alone.views[view].start)


def test_the_sources_of_a_sub_mixture_stay_its_own() -> None:
    submixtures = Submixtures(SubmixturesOptions(), CONTEXT)
    composed = Augmented(submixtures, [Remix(REMIX, CONTEXT)])
    plan = composed.plan(four_stems(), np.random.default_rng(3), 64)
    alone = submixtures.plan(four_stems(), np.random.default_rng(3), 64)
    for view in ("anchor", "positive"):
        gains, before = plan.views[view].gains, alone.views[view].gains
        assert gains is not None
        assert before is not None
        np.testing.assert_array_equal(gains > 0, before > 0)
        assert len(np.unique(gains)) > 64


def test_re_mixed_crops_never_leak_into_each_other() -> None:
    mws = MaskWarpShift(MwsAugmentationOptions(leak=True), CONTEXT)
    cola = RemixCola(RemixOptions(), CONTEXT)
    labels = Augmented(cola, [mws]).plan(four_stems(), np.random.default_rng(0), 32).labels
    assert set(labels["augmentation1.distance"]) == {98}


def test_a_store_of_mixtures_is_refused_also_for_the_augmentation(
    mscol: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_audio(tmp_path / "music" / "a.wav", tones(5))
    assert mscol("separate", "music", "--separator", "none") == 0
    command = ["pretrain", "music.store", "--encoder", "small", "--batch-size", 2]
    assert mscol(*command, "--objective", "cola+remix", "--device", "cpu") == 2
    assert "the store has only mixtures" in capsys.readouterr().err
