"""A saved classifier, as a result describes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mscol_cli.probe.reliability import Reliability


@dataclass(frozen=True)
class SavedHead:
    """The classifier that a probe saved, and its calibration on validation clips.

    Attributes:
        seed: Seed of the classifier, the best of all seeds on validation.
        sha256: Hash of its weights.
        temperature: Temperature of a single-label task; None for a multi-label task, which has a
            slope and an offset per class.
        uncalibrated: Classes of a multi-label task that validation clips do not rank: without
            positives or negatives, with unchanged scores, or with the same score for all clips.
        test_set: Name of the test set of `before` and `after`.
        clips: Number of its clips.
        before: Reliability without calibration.
        after: Reliability with calibration.
    """

    seed: int
    sha256: str
    temperature: float | None
    uncalibrated: Sequence[str]
    test_set: str
    clips: int
    before: Reliability
    after: Reliability

    def describe(self) -> str:
        """One line with seed, calibration and its errors."""
        kind = "Platt scaling of each class"
        if self.temperature is not None:
            kind = f"temperature {self.temperature:.3g}"
        return (
            f"classifier of seed {self.seed}, calibrated on validation by {kind}; expected"
            f" calibration error on {self.test_set} ({self.clips:,} clips): {self.before.error:.4f}"
            f" before, {self.after.error:.4f} after"
        )
