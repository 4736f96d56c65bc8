"""Which classifier a probe saves."""

from __future__ import annotations

import torch

from mscol_cli.probe.classifier import ShallowClassifier, TrainedProbe
from mscol_cli.probe.saving import best_seed


def test_the_seed_that_was_best_on_validation_is_saved() -> None:
    classifier = ShallowClassifier(torch.zeros(2), torch.ones(2), 0, 2)
    probes = [TrainedProbe(classifier, False, score, 1, 1) for score in (0.5, 0.7, 0.7, 0.1)]
    assert best_seed(probes) == 1
