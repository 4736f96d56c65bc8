"""What an objective may report to watch: one number under each name, none of the trainer's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from mscol_cli.errors import PluginError

RESERVED = (
    "step",
    "loss",
    "learning_rate",
    "pairs_per_second",
    "data_wait",
    "gradient_norm",
    "alignment",
    "uniformity",
    "effective_rank",
    "memory_bytes",
    "elapsed_s",
)
"""Keys of metrics.jsonl that the trainer writes itself."""
RESERVED_PREFIX = "probe/"
"""What keys of online probes begin with."""


def checked(values: Mapping[str, Tensor], info: Mapping[str, Any]) -> dict[str, Tensor]:
    """What an objective reports of an update, without its gradients.

    Args:
        values: By name, scalars.
        info: Settings of the run, which name the objective and the plugin that it comes from.

    Raises:
        PluginError: A name that the trainer has taken, or a value that is not one number.
    """
    for name, value in values.items():
        if name in RESERVED or str(name).startswith(RESERVED_PREFIX):
            raise PluginError(
                f"{_objective(info)} reports '{name}', which in metrics.jsonl is the trainer's own:"
                f" its plugin must call that value something else, such as 'objective_{name}'."
            )
        if not isinstance(name, str) or not isinstance(value, Tensor) or value.numel() != 1:
            raise PluginError(
                f"{_objective(info)} reports '{name}', which is {_said(value)}: its plugin must"
                " return tensors of one number, by name."
            )
    return {name: value.detach() for name, value in values.items()}


def _objective(info: Mapping[str, Any]) -> str:
    objective = info.get("objective", {})
    part = next(iter(objective.get("parts", ())), objective)
    owner = f" of {part['owner']}" if "owner" in part else ""
    return f"objective '{part.get('name', '?')}'{owner}"


def _said(value: object) -> str:
    return f"a tensor of {value.numel()} numbers" if isinstance(value, Tensor) else repr(value)
