"""All sources of a song as positives at once, against the formula written slowly."""

import numpy as np
import pytest
import torch
from torch import Tensor

from mscol_cli.api import ObjectiveContext, UsageError
from mscol_objectives.multi_positive import MultiPositive, multi_positive_loss
from mscol_objectives.options import MultiPositiveOptions
from tests.plugins.objectives.test_published import four_stems

CONTEXT = ObjectiveContext(embedding_dim=24, crop_samples=15_920, start_grid=160)
SOUNDS = torch.tensor([[1, 1, 0, 1, 0], [1, 0, 0, 1, 0], [1, 1, 0, 0, 0]], dtype=torch.bool)
"""Three sources in five rows; the third row is silent, and the last one."""


def slow_loss(logits: Tensor, sounds: Tensor, same_source: bool) -> Tensor:
    anchors = []
    for row in range(len(logits)):
        losses = []
        for source in range(len(sounds)):
            if sounds[source, row]:
                candidates = [
                    logits[row, other, column]
                    for other in ([source] if same_source else range(len(sounds)))
                    for column in range(len(logits))
                    if sounds[other, column]
                ]
                losses.append(torch.stack(candidates).logsumexp(0) - logits[row, source, row])
        if losses:
            anchors.append(torch.stack(losses).mean())
    return torch.stack(anchors).mean()


@pytest.mark.parametrize("same_source", [False, True])
def test_the_loss_and_its_gradient_are_those_of_the_formula(same_source: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(5, 3, 5, generator=generator, dtype=torch.float64)
    logits.requires_grad_()
    fast = multi_positive_loss(logits, SOUNDS, same_source)
    slow = slow_loss(logits, SOUNDS, same_source)
    torch.testing.assert_close(fast, slow)
    gradients = [torch.autograd.grad(loss, logits)[0] for loss in (fast, slow)]
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("negatives", ["all", "same-source"])
def test_embeddings_of_silent_sources_change_nothing(negatives: str) -> None:
    options = MultiPositiveOptions(negatives=negatives, symmetric=True)
    objective = MultiPositive(options, CONTEXT).double()
    generator = torch.Generator().manual_seed(0)
    rows = {"anchor": torch.randn(5, 24, generator=generator, dtype=torch.float64)}
    rows |= {
        f"positive/{name}": torch.randn(5, 24, generator=generator, dtype=torch.float64)
        for name in ("bass", "drums", "vocals")
    }
    labels = {f"sounds/{n}": r for n, r in zip(("bass", "drums", "vocals"), SOUNDS, strict=True)}
    before, metrics = objective.loss(objective.project(rows), labels)
    rows["positive/drums"] = torch.where(SOUNDS[1][:, None], rows["positive/drums"], 9.0)
    after, _ = objective.loss(objective.project(rows), labels)
    assert before.item() == after.item()
    assert {"accuracy", "accuracy/vocals", "logit_std"} <= metrics.keys()


def test_the_symmetric_loss_adds_the_way_back_to_the_anchors() -> None:
    objective = MultiPositive(MultiPositiveOptions(symmetric=True), CONTEXT).double()
    rows = torch.randn(5, 512, dtype=torch.float64)
    views = {"anchor": rows, "positive/bass": rows.flip(1)}
    labels = {"sounds/bass": SOUNDS[0]}
    both, _ = objective.loss(views, labels)
    objective.symmetric = False
    forward, _ = objective.loss(views, labels)
    logits = objective.similarity(views["anchor"], views["positive/bass"])
    back = [logits[:, row].logsumexp(0) - logits[row, row] for row in range(5) if SOUNDS[0, row]]
    assert both.item() == pytest.approx((forward + torch.stack(back).mean()).item() / 2)


def test_each_source_that_sounds_is_cut_from_the_segment_of_its_anchor() -> None:
    index = four_stems()
    objective = MultiPositive(MultiPositiveOptions(stems=("drums", "bass")), CONTEXT)
    plan = objective.plan(index, np.random.default_rng(0), 128)
    assert list(plan.views) == ["anchor", "positive/drums", "positive/bass"]
    anchor = plan.views["anchor"]
    heard = np.zeros(128, bool)
    for name in ("drums", "bass"):
        crops = plan.views[f"positive/{name}"]
        sounds = plan.labels[f"sounds/{name}"].astype(bool)
        assert 0 < sounds.mean() < 1
        assert (crops.track == anchor.track).all()
        assert (crops.start // 62_720 == anchor.start // 62_720).all()
        assert (crops.start != anchor.start).any()
        assert set(crops.source[sounds]) == {index.sources.index(name)}
        assert set(crops.source[~sounds]) == {0}
        heard |= sounds
    assert heard.all()


def test_a_store_of_silence_is_refused() -> None:
    index = four_stems()
    index.segment_level[:, 1:] = 0
    with pytest.raises(UsageError, match="all sources are silent"):
        MultiPositive(MultiPositiveOptions(), CONTEXT).check(index, 16)
