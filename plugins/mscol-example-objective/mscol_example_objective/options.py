"""The options: light, like the card."""

from dataclasses import dataclass

from mscol_cli.api import option


@dataclass(frozen=True)
class NeighbourOptions:
    """Options of `neighbour`."""

    distance: float = option(2.0, "largest distance between both crops, seconds", minimum=0.1)
