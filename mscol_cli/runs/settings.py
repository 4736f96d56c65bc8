"""Settings and software versions in a run.json, by dotted name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mscol_cli.runs.layout import CHECKSUMS, STAMP
from mscol_cli.system.values import flatten

SOFTWARE = ("mscol", "torch", "git")
PLUGIN = ("encoder.owner", "encoder.version")
BUNDLED = "plugin mscol"
COMPUTE = "compute"
"""Key of run.json: how the last process of the run computed its steps."""


def flat_settings(info: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by dotted name, without software and what `auto` chose. Options of a part follow the
    name of the part."""
    left_out = (*STAMP, *SOFTWARE, *PLUGIN)
    info = {name: value for name, value in info.items() if name not in (COMPUTE, CHECKSUMS)}
    if "init" in info:
        # Not the names of tensors, and not the training of the source.
        info = {**info, "init": {name: info["init"][name] for name in ("reference", "hash")}}
    return {name: value for name, value in flatten(_by_part(info)).items() if name not in left_out}


def software_of(info: Mapping[str, Any]) -> dict[str, Any]:
    """Software of a run: versions of mscol, torch and plugins, and the git checkout."""
    software = {name: info[name] for name in SOFTWARE if name in info}
    parts = [*info.get("objective", {}).get("parts", ()), info.get("encoder", {})]
    owned = [part for part in parts if isinstance(part, Mapping) and "owner" in part]
    plugins = {f"plugin {part['owner']}": part.get("version") for part in owned}
    return {**software, **{name: value for name, value in plugins.items() if name != BUNDLED}}


def _by_part(info: Mapping[str, Any]) -> dict[str, Any]:
    """run.json with the options of the objective's parts, by name of the part."""
    objective = dict(info.get("objective", {}))
    parts = {part["name"]: part.get("options", {}) for part in objective.pop("parts", ())}
    return {**info, "objective": {**objective, **parts}}
