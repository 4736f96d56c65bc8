"""Which classifier a probe saves."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from mscol_cli.contracts.task import ProbeProtocol
from mscol_cli.probe.classifier import ShallowClassifier, TrainedProbe, selection_score
from mscol_cli.probe.fullbatch import train_full_batch
from mscol_cli.probe.minibatch import train_probe
from mscol_cli.probe.saving import best_seed
from tests.helpers.probing import gaussian_clips, one_hot


def test_the_seed_that_was_best_on_validation_is_saved() -> None:
    classifier = ShallowClassifier(torch.zeros(2), torch.ones(2), 0, 2)
    probes = [TrainedProbe(classifier, False, score, 1, 1) for score in (0.5, 0.7, 0.7, 0.1)]
    assert best_seed(probes) == 1
    losses = (0.1, 0.4, 0.3, 0.2)
    broken = [replace(probe, tie_break=-loss) for probe, loss in zip(probes, losses, strict=True)]
    assert best_seed(broken) == 2


@pytest.mark.parametrize("classifier", ["published", "linear"])
def test_the_loss_of_the_validation_windows_breaks_ties(classifier: str) -> None:
    train, valid = (gaussian_clips(one_hot([0, 1] * size, 2), seed=size) for size in (20, 9))
    protocol = ProbeProtocol(classifier=classifier, epochs=2)
    if classifier == "published":
        probe = train_probe(protocol, lambda _: (train, valid), 0)
    else:
        probe = train_full_batch(protocol, train, valid, 0)
    assert probe.rank == selection_score(probe.model, protocol, valid)
    assert probe.tie_break < 0
