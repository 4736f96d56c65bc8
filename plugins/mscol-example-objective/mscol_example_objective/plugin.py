"""The card: light, so that `mscol --help` stays fast. It imports no torch."""

from dataclasses import dataclass

from mscol_cli.api import Objective, ObjectiveCard, ObjectiveContext, hookimpl, option


@dataclass(frozen=True)
class NeighbourOptions:
    """Options of `neighbour`."""

    distance: float = option(2.0, "largest distance between both crops, seconds", minimum=0.1)


def _build(options: NeighbourOptions, context: ObjectiveContext) -> Objective:
    from mscol_example_objective.neighbour import Neighbour

    return Neighbour(options, context)


@hookimpl
def mscol_objectives() -> list[ObjectiveCard]:
    """Called by mscol; returns the objectives of this plugin."""
    return [
        ObjectiveCard(
            name="neighbour",
            summary="two crops of the mixture at most some seconds apart",
            build=_build,
            options=NeighbourOptions,
        )
    ]
