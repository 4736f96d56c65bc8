"""`openunmix`: the package's networks and its Wiener filter, with weights that are checked."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from pickle import UnpicklingError  # what torch.load raises when it refuses to unpickle
from typing import TYPE_CHECKING, Any

import torch

from mscol_cli.api import MIXTURE, MissingDataError, Separator, SeparatorContext, UsageError
from mscol_separators import mini
from mscol_separators.weights import HIDDEN_SIZE, file_hash, published

if TYPE_CHECKING:
    from torch import Tensor

    from mscol_separators.plugin import OpenUnmixOptions

DEFAULT_MODEL = "umxl"


@dataclass(frozen=True)
class _Model:
    """Weights on disk and the settings of the networks that they fit."""

    name: str
    licence: str
    sample_rate: int
    n_fft: int
    n_hop: int
    channels: int
    hidden_size: Mapping[str, int]
    weights: Mapping[str, Path]


class OpenUnmixSeparator(Separator):
    """Open-Unmix's spectrogram networks followed by its multichannel Wiener filter.

    Mono input is given to both channels of a stereo network, and what has more than two channels
    is averaged to mono before. Networks are loaded when the first track comes.
    """

    def __init__(self, options: OpenUnmixOptions, context: SeparatorContext) -> None:
        """Find the weights, downloading published ones that are not there.

        Raises:
            UsageError: No model of that name, or targets that it or the filter cannot serve.
            MissingDataError: Weights are missing or damaged.
        """
        _check_targets(options)
        self._options = options
        self._device = context.device
        self._model = _find_model(context, options.targets)
        self.sources = options.targets
        self.sample_rate = self._model.sample_rate
        self.passport = {
            "network": f"openunmix {version('openunmix')}",
            "model": self._model.name,
            "licence": self._model.licence,
            **{f"{name} sha256": file_hash(path) for name, path in self._model.weights.items()},
        }

    @torch.no_grad()
    def separate(self, audio: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Estimate every target from the mix."""
        mixture = audio[MIXTURE]
        heard = _to_channels(mixture, self._model.channels).to(self._device)
        estimates = self._network(heard[None])[0]
        return {MIXTURE: mixture, **dict(zip(self.sources, estimates, strict=True))}

    @cached_property
    def _network(self) -> Callable[[Tensor], Tensor]:
        from openunmix.model import Separator as OpenUnmix

        model = self._model
        network = OpenUnmix(
            target_models={name: _load_target(model, name) for name in self.sources},
            niter=self._options.niter,
            sample_rate=float(model.sample_rate),
            n_fft=model.n_fft,
            n_hop=model.n_hop,
            nb_channels=model.channels,
            wiener_win_len=self._options.wiener_win_len,
        )
        network.freeze()
        placed: Callable[[Tensor], Tensor] = network.to(self._device)
        return placed


def _check_targets(options: OpenUnmixOptions) -> None:
    if not options.targets or len(set(options.targets)) < len(options.targets):
        raise UsageError("option targets of separator 'openunmix' takes one or more, each once.")
    if len(options.targets) == 1 and options.niter:
        raise UsageError("one target leaves nothing to filter against: add --opt niter=0.")


def _find_model(context: SeparatorContext, targets: tuple[str, ...]) -> _Model:
    name = context.model or DEFAULT_MODEL
    if name in HIDDEN_SIZE:
        return _published(name, targets, context)
    if name == mini.NAME:
        return _packaged(targets)
    folder = Path(name).expanduser()
    if not folder.is_dir():
        known = ", ".join((*HIDDEN_SIZE, mini.NAME))
        raise UsageError(f"no Open-Unmix model '{name}': use {known} or a folder of weights.")
    return _from_folder(folder, targets)


def _published(name: str, targets: tuple[str, ...], context: SeparatorContext) -> _Model:
    model = published(name)
    unknown = [target for target in targets if target not in model.files]
    if unknown:
        known = ", ".join(model.files)
        raise UsageError(f"model {name} has no target '{unknown[0]}': it has {known}.")
    return _Model(
        name=name,
        licence=model.collection.licence,
        sample_rate=44100,
        n_fft=4096,
        n_hop=1024,
        channels=2,
        hidden_size=dict.fromkeys(targets, model.hidden_size),
        weights=model.fetch(targets, context),
    )


def _packaged(targets: tuple[str, ...]) -> _Model:
    return _Model(
        name=mini.NAME,
        licence=mini.LICENCE,
        sample_rate=mini.SAMPLE_RATE,
        n_fft=mini.N_FFT,
        n_hop=mini.N_HOP,
        channels=1,
        hidden_size=dict.fromkeys(targets, mini.HIDDEN_SIZE),
        weights=mini.weight_files(targets),
    )


def _from_folder(folder: Path, targets: tuple[str, ...]) -> _Model:
    settings = _read_settings(folder / "separator.json")
    sizes = {target: _read_settings(folder / f"{target}.json")["args"] for target in targets}
    try:
        return _Model(
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
        raise UsageError(f"{folder}: its JSON files lack or garble {error}") from None


def _read_settings(path: Path) -> dict[str, Any]:
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise MissingDataError(f"{path} is missing: Open-Unmix's training writes it") from None
    except ValueError:
        raise MissingDataError(f"{path} is no JSON: restore it") from None
    return settings if isinstance(settings, dict) else {}


def _find_weights(folder: Path, target: str) -> Path:
    found = sorted(folder.glob(f"{target}*.pth"))
    if not found:
        raise MissingDataError(f"{folder} has no weights {target}*.pth: choose --opt targets=...")
    return found[0]


def _load_target(model: _Model, target: str) -> torch.nn.Module:
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
        # Published files also hold buffers of transforms that the network no longer owns.
        missing = network.load_state_dict(state, strict=False).missing_keys
    except (UnpicklingError, RuntimeError, KeyError, TypeError, EOFError) as error:
        reason = " ".join(str(error).split())[:120]
        raise MissingDataError(f"{path} holds no weights of this network ({reason})") from None
    weights = [key for key in missing if not key.endswith("num_batches_tracked")]
    if weights:
        raise MissingDataError(f"{path} lacks weights: {', '.join(weights)}")
    loaded: torch.nn.Module = network
    return loaded


def _read_state(path: Path) -> Any:
    if path.suffix == mini.SUFFIX:
        return mini.read_state(path)
    return torch.load(path, map_location="cpu", weights_only=True)


def _to_channels(waveform: Tensor, channels: int) -> Tensor:
    if len(waveform) == channels:
        return waveform
    return waveform.mean(dim=0, keepdim=True).repeat(channels, 1)
