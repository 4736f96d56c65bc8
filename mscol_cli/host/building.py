"""From a card to the part it builds, of the right class and with a name for messages."""

from __future__ import annotations

from typing import Any

from mscol_cli.errors import PluginError
from mscol_cli.host.guard import plugin_call, set_label
from mscol_cli.host.parts import Part


def build_part(part: Part, base: type[Any], *context: object, augmentation: bool = False) -> Any:
    """Build a part: an instance of `base`.

    Args:
        part: The card and its options.
        base: Class that the contract asks for.
        context: What `build` takes besides the options.
        augmentation: Whether to build the augmentation of an objective's card.

    Raises:
        PluginCallError: `build` raised an exception.
        PluginError: It returned something else.
    """
    card: Any = part.entry.card
    label = part.entry.label
    with plugin_call(label, "build"):
        built = (card.augmentation if augmentation else card.build)(part.options, *context)
    if not isinstance(built, base):
        raise PluginError(
            f"{label}: build returned {type(built).__name__}, not a subclass of {base.__name__}."
        )
    set_label(built, label)
    return built
