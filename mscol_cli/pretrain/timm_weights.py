"""Pre-trained weights of the timm network inside an encoder, from the Hugging Face Hub."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from mscol_cli.contracts.encoder import Encoder
from mscol_cli.errors import UsageError
from mscol_cli.host.guard import label_of
from mscol_cli.hub.client import download
from mscol_cli.hub.names import HubName
from mscol_cli.system.files import file_hash
from mscol_cli.system.text import first_line

FILE = "model.safetensors"


def timm_weights(encoder: Encoder) -> tuple[str, str, dict[str, Tensor]]:
    """Load the weights that timm publishes for the network that an encoder is based on.

    timm itself adapts the first convolution to the number of input channels, and drops the
    classifier.

    Returns:
        Name of the weights on the hub, SHA-256 of their file, and tensors by their name in the
        encoder.

    Raises:
        UsageError: The encoder contains no network of timm, or timm has no weights for it.
        MissingDataError: The weights can neither be downloaded nor found in the cache.
    """
    prefix, network = _find_network(encoder)
    described: Mapping[str, Any] = network.pretrained_cfg
    repository = described.get("hf_hub_id")
    if not repository:
        raise UsageError(f"timm has no pre-trained weights for {described.get('architecture')}.")
    path = download(HubName(repository), (FILE,)).folder / FILE
    try:
        tensors = _adapted(network, described, path)
    except Exception as error:
        raise UsageError(
            f"{path} cannot be loaded by timm ({first_line(error)}): delete it to download it"
            " again."
        ) from error
    return repository, file_hash(path), {prefix + name: tensors[name] for name in tensors}


def _find_network(encoder: Encoder) -> tuple[str, Any]:
    """The network of timm in an encoder, and the prefix of its tensors."""
    for name, module in encoder.named_modules():
        if isinstance(getattr(module, "pretrained_cfg", None), Mapping):
            return f"{name}." if name else "", module
    raise UsageError(
        f"--init timm needs an encoder based on timm, such as efficientnet_b0; {label_of(encoder)}"
        " is not."
    )


def _adapted(network: nn.Module, described: Mapping[str, Any], path: Path) -> Mapping[str, Tensor]:
    """Tensors of the original network, with the input channels of the encoder's."""
    import timm

    first: Any = network.get_submodule(described["first_conv"])
    original = timm.create_model(
        f"{described['architecture']}.{described['tag']}",
        pretrained=True,
        pretrained_cfg_overlay={"file": str(path), "hf_hub_id": None},
        in_chans=first.in_channels,
        num_classes=0,
    )
    tensors: Mapping[str, Tensor] = original.state_dict()
    return tensors
