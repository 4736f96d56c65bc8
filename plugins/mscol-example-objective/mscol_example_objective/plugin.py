"""The card: it imports no torch, so that commands that only list plugins stay fast."""

from mscol_cli.api import ObjectiveCard, hookimpl
from mscol_example_objective.options import NeighbourOptions


@hookimpl
def mscol_objectives() -> list[ObjectiveCard]:
    """Return the objectives of this plugin; called by mscol."""
    return [
        ObjectiveCard(
            name="neighbour",
            summary="two crops of the mixture at most some seconds apart",
            build="mscol_example_objective.neighbour:Neighbour",
            options=NeighbourOptions,
        )
    ]
