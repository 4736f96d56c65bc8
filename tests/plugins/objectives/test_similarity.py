"""Similarities against their formulas, and the size of the first losses."""

import math

import pytest
import torch
from torch import Tensor

from mscol_cli.api import ObjectiveContext
from mscol_objectives.cola import Cola
from mscol_objectives.options import PairOptions
from mscol_objectives.similarity import BilinearSimilarity, CosineSimilarity

CONTEXT = ObjectiveContext(embedding_dim=24, crop_samples=15_920, start_grid=160)


def embeddings(rows: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        view: torch.randn(rows, 24, generator=generator, dtype=torch.float64, requires_grad=True)
        for view in ("anchor", "positive")
    }


def test_cosine_logits_and_gradients_are_those_of_the_formula() -> None:
    generator = torch.Generator().manual_seed(1)
    anchor, positive = (
        torch.randn(rows, 512, generator=generator, dtype=torch.float64, requires_grad=True)
        for rows in (5, 4)
    )
    similarity = CosineSimilarity(0.2).double()
    logits = similarity(anchor, positive)
    inputs = (anchor, positive, similarity.log_temperature)
    weights = torch.randn(5, 4, generator=generator, dtype=torch.float64)
    fast = torch.autograd.grad((logits * weights).sum(), inputs)
    temperature = similarity.log_temperature.exp()
    slow = torch.stack(
        [
            torch.stack([(a @ p) / (a @ a).sqrt() / (p @ p).sqrt() / temperature for p in positive])
            for a in anchor
        ]
    )
    torch.testing.assert_close(logits, slow)
    torch.testing.assert_close(fast, torch.autograd.grad((slow * weights).sum(), inputs))


def test_the_temperature_is_learned_reported_and_bounded() -> None:
    objective = Cola(PairOptions(similarity="cosine", temperature=0.1), CONTEXT).double()
    loss, metrics = objective.loss(objective.project(embeddings(8)), {})
    loss.backward()  # type: ignore[no-untyped-call]
    assert metrics["temperature"].item() == pytest.approx(0.1)
    similarity = objective.similarity
    assert isinstance(similarity, CosineSimilarity)
    assert similarity.log_temperature.grad
    similarity.log_temperature.data.fill_(-20.0)
    assert similarity.metrics()["temperature"].item() == pytest.approx(0.01)


def test_a_temperature_at_its_bound_can_rise_again() -> None:
    similarity = CosineSimilarity(0.005)
    rows = torch.randn(4, 512, generator=torch.Generator().manual_seed(0))
    # Every positive belongs to another anchor, so that a higher temperature is better.
    loss = torch.nn.functional.cross_entropy(similarity(rows, rows), torch.tensor([1, 2, 3, 0]))
    loss.backward()  # type: ignore[no-untyped-call]
    assert similarity.log_temperature.grad is not None
    assert similarity.log_temperature.grad < 0


def slow_reverse(anchor: Tensor, positive: Tensor, silent: list[bool], weight: Tensor) -> Tensor:
    """Each positive that sounds looks for its anchor among all anchors."""
    losses = []
    for row, candidate in enumerate(positive):
        if not silent[row]:
            logits = torch.stack([a @ weight @ candidate for a in anchor])
            losses.append(logits.logsumexp(0) - logits[row])
    return torch.stack(losses).mean() if losses else torch.zeros((), dtype=torch.float64)


@pytest.mark.parametrize("silent_rows", [0, 3, 8])
def test_the_symmetric_loss_is_the_mean_of_both_directions(silent_rows: int) -> None:
    objective = Cola(PairOptions(symmetric=True), CONTEXT).double()
    similarity = objective.similarity
    assert isinstance(similarity, BilinearSimilarity)
    rows = embeddings(8)
    inputs = (rows["anchor"], similarity.weight)
    silent = torch.arange(8) < silent_rows
    fast, _ = objective.loss(objective.project(rows), {"silent": silent})
    objective.symmetric = False
    projections = objective.project(rows)
    forward, _ = objective.loss(projections, {"silent": silent})
    reverse = slow_reverse(
        projections["anchor"], projections["positive"], silent.tolist(), similarity.weight
    )
    slow = (forward + reverse) / 2
    torch.testing.assert_close(fast, slow)
    torch.testing.assert_close(torch.autograd.grad(fast, inputs), torch.autograd.grad(slow, inputs))


@pytest.mark.parametrize(
    ("options", "lowest", "highest"),
    [
        (PairOptions(), 9, 40),  # logits of deviation 10
        (PairOptions(similarity_std=0.001), math.log(128) - 0.1, math.log(128) + 0.2),
        (
            PairOptions(similarity="cosine", temperature=0.5),
            math.log(128) - 0.2,
            math.log(128) + 0.3,
        ),
    ],
)
def test_the_first_loss_is_that_of_chance_unless_logits_start_as_published(
    options: PairOptions, lowest: float, highest: float
) -> None:
    torch.manual_seed(0)
    objective = Cola(options, CONTEXT).double()
    loss, _ = objective.loss(objective.project(embeddings(128)), {})
    assert lowest < loss.item() < highest
