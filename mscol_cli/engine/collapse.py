"""Stopping a run that has gone wrong: its loss is no number, or its embeddings are all alike."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mscol_cli.checkpoints.layout import checkpoint_folders
from mscol_cli.errors import MscolError

LOWEST_RANK = 1.5
"""Effective rank below which embeddings differ in little but their length."""
HEALTHY_RANK = 2 * LOWEST_RANK
PATIENCE = 5
"""Looks in a row that must find it lower; one may have been at an odd batch."""


class CollapseGuard:
    """Watches the effective rank of a run's embeddings.

    It judges only a run whose rank was twice the threshold at some time: in an encoder whose
    embeddings are never negative, one direction may outweigh all others from the start.
    """

    def __init__(self, past: Iterable[tuple[int, float]] = ()) -> None:
        """Look first at what was seen before: steps and effective ranks, in order."""
        self._highest, self._low = 0.0, list[int]()
        for step, rank in past:
            self.observe(step, rank)

    def observe(self, step: int, rank: float) -> None:
        """Take in the effective rank after a step."""
        self._highest = max(self._highest, rank)
        self._low = [*self._low, step] if rank < LOWEST_RANK else []
        if self._highest < HEALTHY_RANK:
            self._low = []

    @property
    def doubtful(self) -> bool:
        """Whether the last look found a collapse: what is saved now may be of no use."""
        return bool(self._low)

    def judge(self, run: Path) -> None:
        """Stop a run that has been low for long. Raises MscolError."""
        if len(self._low) >= PATIENCE:
            raise broken(
                run,
                f"the embeddings have collapsed: their effective rank is below {LOWEST_RANK} since"
                f" step {self._low[0]}, and was {self._highest:.1f}",
            )


def broken(run: Path, what: str) -> MscolError:
    """What to tell of a run that cannot go on."""
    found = checkpoint_folders(run)
    kept = f"the last good checkpoint is {found[-1]}" if found else f"{run} has no checkpoint"
    return MscolError(f"{what}: {kept}; train a new run with a lower --lr.")
