"""A tiny Open-Unmix model folder with random weights, as that project's training writes it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from openunmix.model import OpenUnmix


def write_model(
    folder: Path,
    targets: Sequence[str] = ("vocals", "drums"),
    *,
    n_fft: int = 4096,
    n_hop: int = 1024,
    channels: int = 2,
    hidden_size: int = 16,
) -> Path:
    """Write `separator.json`, and `TARGET.json` and `TARGET.pth` for each target."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    shared = {"nfft": n_fft, "nhop": n_hop, "nb_channels": channels}
    (folder / "separator.json").write_text(json.dumps({"sample_rate": 44100.0, **shared}))
    for target in targets:
        bins = n_fft // 2 + 1
        network = OpenUnmix(bins, channels, hidden_size, max_bin=bins * 3 // 4)
        torch.save(network.state_dict(), folder / f"{target}.pth")
        arguments = {"args": {**shared, "hidden_size": hidden_size}}
        (folder / f"{target}.json").write_text(json.dumps(arguments))
    return folder
