"""The plugin host: loads installed plugins, guards calls into them, finds parts by name."""

from mscol_cli.host.parts import Part, describe_part, find_objective, find_part
from mscol_cli.host.registry import Entry, Failure, Registry, load_registry

__all__ = [
    "Entry",
    "Failure",
    "Part",
    "Registry",
    "describe_part",
    "find_objective",
    "find_part",
    "load_registry",
]
