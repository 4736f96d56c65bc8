"""The Python interface of mscol.

    import mscol
    model = mscol.load()  # runs/latest or, before the first run, the bundled mini
    vector = model.embed("song.mp3")

Importing it loads neither torch nor NumPy; names that need them load on first use. The names in
`__all__` are stable within a major version. docs/python.md documents them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from mscol._progress import MscolWarning, ProgressUpdate
from mscol_cli import __version__
from mscol_cli.errors import (
    BadInputError,
    Interrupted,
    MissingDataError,
    MscolError,
    PluginCallError,
    PluginError,
    UsageError,
)

if TYPE_CHECKING:
    from mscol._model import Model, Windows, load
    from mscol._workflows import pretrain, probe, probe_table, separate
    from mscol_cli.engine.waveform_encoder import WaveformEncoder
    from mscol_cli.pretrain.finished import PretrainResult
    from mscol_cli.probe.result import ProbeResult
    from mscol_cli.probe.table import JointTable as ProbeTable
    from mscol_cli.separate.workflow import SeparateResult
    from mscol_cli.store import Store
    from mscol_cli.vectors import VectorFolder as Vectors

__all__ = [
    "BadInputError",
    "Interrupted",
    "MissingDataError",
    "Model",
    "MscolError",
    "MscolWarning",
    "PluginCallError",
    "PluginError",
    "PretrainResult",
    "ProbeResult",
    "ProbeTable",
    "ProgressUpdate",
    "SeparateResult",
    "Store",
    "UsageError",
    "Vectors",
    "WaveformEncoder",
    "Windows",
    "__version__",
    "load",
    "pretrain",
    "probe",
    "probe_table",
    "separate",
]

_LAZY = {
    "Model": "mscol._model:Model",
    "PretrainResult": "mscol_cli.pretrain.finished:PretrainResult",
    "ProbeResult": "mscol_cli.probe.result:ProbeResult",
    "ProbeTable": "mscol_cli.probe.table:JointTable",
    "SeparateResult": "mscol_cli.separate.workflow:SeparateResult",
    "Store": "mscol_cli.store:Store",
    "Vectors": "mscol_cli.vectors:VectorFolder",
    "WaveformEncoder": "mscol_cli.engine.waveform_encoder:WaveformEncoder",
    "Windows": "mscol._model:Windows",
    "load": "mscol._model:load",
    "pretrain": "mscol._workflows:pretrain",
    "probe": "mscol._workflows:probe",
    "probe_table": "mscol._workflows:probe_table",
    "separate": "mscol._workflows:separate",
}


if not TYPE_CHECKING:  # a type checker would take any name for one of the package

    def __getattr__(name: str) -> object:
        if name not in _LAZY:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        module, _, attribute = _LAZY[name].partition(":")
        return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted(__all__)
