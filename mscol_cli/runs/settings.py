"""The settings in a run.json, by dotted name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mscol_cli.runs.layout import STAMP

SOFTWARE = ("mscol", "torch", "git")
PLUGIN = ("encoder.owner", "encoder.version")
OWN = "plugin mscol"


def flat_settings(info: Mapping[str, Any]) -> dict[str, Any]:
    """run.json by dotted name, without software; options of a part stand below the part's name."""
    left_out = (*STAMP, *SOFTWARE, *PLUGIN)
    return {name: value for name, value in _flat(info, "") if name not in left_out}


def software_of(info: Mapping[str, Any]) -> dict[str, Any]:
    """What a run was started with: versions of mscol and of plugins, and the git checkout."""
    found = {name: info[name] for name in SOFTWARE if name in info}
    parts = [*info.get("objective", {}).get("parts", ()), info.get("encoder", {})]
    owned = [one for one in parts if isinstance(one, Mapping) and "owner" in one]
    plugins = {f"plugin {one['owner']}": one.get("version") for one in owned}
    return {**found, **{name: version for name, version in plugins.items() if name != OWN}}


def _flat(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list) and value and all(isinstance(part, Mapping) for part in value):
        above = name.removesuffix(".parts")
        for number, part in enumerate(value):
            yield from _flat(part.get("options", part), f"{above}.{part.get('name', number)}")
    else:
        yield name, value
