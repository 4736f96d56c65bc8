"""Open-Unmix's models: their settings, weights and networks."""

from __future__ import annotations

import glob
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

import torch

from mscol_cli.api import MissingDataError, SeparatorContext, UsageError
from mscol_separators import mini
from mscol_separators.options import STEMS
from mscol_separators.weights import PUBLISHED, Published

if TYPE_CHECKING:
    from openunmix.model import OpenUnmix

DEFAULT_MODEL = "umxl"
_WEIGHTS = (".pth", ".pt", ".safetensors")


@dataclass(frozen=True)
class Model:
    """A model and the settings of its networks.

    Attributes:
        name: Name of the model.
        licence: Licence of the weights.
        sample_rate: Hz.
        n_fft: Samples per frame.
        n_hop: Samples between frames.
        channels: Number of input channels.
        hidden_size: Units of hidden layers, by target.
        weights: Paths by target; empty with `plan_only`.
    """

    name: str
    licence: str
    sample_rate: int
    n_fft: int
    n_hop: int
    channels: int
    hidden_size: Mapping[str, int]
    weights: Mapping[str, Path]

    @property
    def targets(self) -> tuple[str, ...]:
        """Targets in the requested order."""
        return tuple(self.hidden_size)


def find_model(context: SeparatorContext, targets: tuple[str, ...]) -> Model:
    """Find a model by name or folder, and download missing weights.

    Args:
        context: Context with the name of the model; None is `umxl`.
        targets: Targets to estimate; empty for all of the model.

    Raises:
        UsageError: The model or a target is unknown.
        MissingDataError: Weights are missing or damaged.
    """
    name = context.model or DEFAULT_MODEL
    if name in PUBLISHED:
        return _published(PUBLISHED[name], targets, context)
    if name == mini.NAME:
        return _packaged(targets or mini.TARGETS)
    folder = Path(name).expanduser()
    if not folder.is_dir():
        known = ", ".join((*PUBLISHED, mini.NAME))
        raise UsageError(f"no Open-Unmix model '{name}': use {known} or a folder of weights.")
    return _from_folder(folder, targets)


def _published(model: Published, targets: tuple[str, ...], context: SeparatorContext) -> Model:
    unknown = [target for target in targets if target not in model.targets]
    if unknown:
        known = ", ".join(model.targets)
        raise UsageError(f"model {model.name} has no target '{unknown[0]}': it has {known}.")
    targets = targets or model.targets
    return Model(
        name=model.name,
        licence=model.collection.licence,
        sample_rate=model.sample_rate,
        n_fft=model.n_fft,
        n_hop=model.n_hop,
        channels=model.channels,
        hidden_size=dict.fromkeys(targets, model.hidden_size),
        weights={} if context.plan_only else model.fetch(targets, context),
    )


def _packaged(targets: tuple[str, ...]) -> Model:
    return Model(
        name=mini.NAME,
        licence=mini.LICENCE,
        sample_rate=mini.SAMPLE_RATE,
        n_fft=mini.N_FFT,
        n_hop=mini.N_HOP,
        channels=1,
        hidden_size=dict.fromkeys(targets, mini.HIDDEN_SIZE),
        weights=mini.weight_files(targets),
    )


def _from_folder(folder: Path, targets: tuple[str, ...]) -> Model:
    settings = _read_settings(folder / "separator.json")
    targets = targets or _targets_in(folder)
    sizes = {target: _read_settings(folder / f"{target}.json")["args"] for target in targets}
    try:
        return Model(
            name=f"folder {folder.resolve().name}",
            licence="that of the folder's weights",
            sample_rate=int(settings["sample_rate"]),
            n_fft=int(settings["nfft"]),
            n_hop=int(settings["nhop"]),
            channels=int(settings["nb_channels"]),
            hidden_size={target: int(size["hidden_size"]) for target, size in sizes.items()},
            weights={target: _find_weights(folder, target) for target in targets},
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{folder}: missing or invalid in its JSON files: {error}") from None


def _targets_in(folder: Path) -> tuple[str, ...]:
    """Targets of a folder, with the four stems first."""
    names = _names_in(folder)
    if not names:
        raise MissingDataError(f"{folder} has no TARGET.json: Open-Unmix's training writes it")
    return (*(name for name in STEMS if name in names), *sorted(names - set(STEMS)))


def _names_in(folder: Path) -> set[str]:
    return {path.stem for path in folder.glob("*.json")} - {"separator"}


def _read_settings(path: Path) -> dict[str, Any]:
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise MissingDataError(f"{path} is missing: Open-Unmix's training writes it") from None
    except ValueError:
        raise MissingDataError(f"{path} is not JSON: restore it") from None
    return settings if isinstance(settings, dict) else {}


def _find_weights(folder: Path, target: str) -> Path:
    """Path of a target's weights, `TARGET.pth` or `TARGET-HASH.pth`."""
    longer = [name for name in _names_in(folder) if name != target and name.startswith(target)]
    paths = [
        path
        for path in sorted(folder.glob(f"{glob.escape(target)}*"))
        if path.suffix in _WEIGHTS and not path.stem.startswith(tuple(longer))
    ]
    if not any(path.suffix == ".pth" for path in paths):
        raise MissingDataError(f"{folder} has no weights {target}*.pth: choose --opt targets=...")
    if len(paths) > 1:  # also of other formats: they may hold other weights
        names = " and ".join(path.name for path in paths)
        raise UsageError(f"{folder} has several weights of '{target}', {names}: keep one of them.")
    return paths[0]


def load_target(model: Model, target: str) -> OpenUnmix:
    """Load the network of a target.

    Raises:
        MissingDataError: The weights do not fit the network.
    """
    from openunmix.model import OpenUnmix

    path = model.weights[target]
    try:
        state = _read_state(path)
        network = OpenUnmix(
            nb_bins=model.n_fft // 2 + 1,
            nb_channels=model.channels,
            hidden_size=model.hidden_size[target],
            max_bin=len(state["input_mean"]),
        )
        # Published files also contain buffers of transforms that the network no longer has.
        missing = network.load_state_dict(state, strict=False).missing_keys
    except (UnpicklingError, RuntimeError, KeyError, TypeError, EOFError) as error:
        reason = " ".join(str(error).split())[:120]
        raise MissingDataError(f"{path}: its weights do not fit this network ({reason})") from None
    weights = [key for key in missing if not key.endswith("num_batches_tracked")]
    if weights:
        raise MissingDataError(f"{path} lacks weights: {', '.join(weights)}")
    network.freeze()
    loaded: OpenUnmix = network
    return loaded


def _read_state(path: Path) -> Any:
    if path.suffix == mini.SUFFIX:
        return mini.read_state(path)
    return torch.load(path, map_location="cpu", weights_only=True)
