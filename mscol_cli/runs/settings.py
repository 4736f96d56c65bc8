"""The settings in a run.json, by dotted name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mscol_cli.runs.layout import STAMP
from mscol_cli.system.values import flatten

SOFTWARE = ("mscol", "torch", "git")
PLUGIN = ("encoder.owner", "encoder.version")
OWN = "plugin mscol"


def flat_settings(info: Mapping[str, Any]) -> dict[str, Any]:
    """run.json by dotted name, without software; options of a part stand below the part's name."""
    left_out = (*STAMP, *SOFTWARE, *PLUGIN)
    return {name: value for name, value in flatten(_by_part(info)).items() if name not in left_out}


def software_of(info: Mapping[str, Any]) -> dict[str, Any]:
    """What a run was started with: versions of mscol and of plugins, and the git checkout."""
    found = {name: info[name] for name in SOFTWARE if name in info}
    parts = [*info.get("objective", {}).get("parts", ()), info.get("encoder", {})]
    owned = [one for one in parts if isinstance(one, Mapping) and "owner" in one]
    plugins = {f"plugin {one['owner']}": one.get("version") for one in owned}
    return {**found, **{name: version for name, version in plugins.items() if name != OWN}}


def _by_part(info: Mapping[str, Any]) -> dict[str, Any]:
    """run.json with the objective's parts by name, as their options."""
    objective = dict(info.get("objective", {}))
    parts = {part["name"]: part.get("options", {}) for part in objective.pop("parts", ())}
    return {**info, "objective": {**objective, **parts}}
