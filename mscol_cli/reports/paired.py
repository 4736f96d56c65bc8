"""A score beside another one on the same test clips."""

from __future__ import annotations

from dataclasses import dataclass

LOWER, HIGHER = "\N{DOWNWARDS ARROW}", "\N{UPWARDS ARROW}"


@dataclass(frozen=True)
class PairedScore:
    """A score, and how far it is from a reference.

    Attributes:
        value: Mean over seeds.
        low: Lower bound of its 95 % bootstrap interval over test clips; None where too few clips
            are of the class, or are not, to draw them anew.
        high: Its upper bound.
        difference: The score minus the reference, on the same clips; None for the reference.
        difference_low: Lower bound of the 95 % interval of the difference, on the same drawn clips.
        difference_high: Its upper bound.
    """

    value: float
    low: float | None
    high: float | None
    difference: float | None = None
    difference_low: float | None = None
    difference_high: float | None = None

    @property
    def arrow(self) -> str:
        """Where the interval of the difference leaves out 0, which way; else nothing."""
        if self.difference_high is not None and self.difference_high < 0:
            return LOWER
        if self.difference_low is not None and self.difference_low > 0:
            return HIGHER
        return ""

    @property
    def is_compared(self) -> bool:
        """Whether the difference has an interval."""
        return self.difference_low is not None
