"""push: run -> folder with settings, weights and model card -> repository on the Hub."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from mscol_cli.contracts.cards import EncoderCard
from mscol_cli.contracts.encoder import Encoder
from mscol_cli.contracts.progress import Progress
from mscol_cli.engine.models import Model, load_model
from mscol_cli.errors import MscolError, UsageError
from mscol_cli.host import load_registry
from mscol_cli.hub.client import require_token, upload
from mscol_cli.hub.names import HubName, parse_name
from mscol_cli.probe.result import ProbeResult, read
from mscol_cli.push.card import CardContent, model_card
from mscol_cli.push.request import PushRequest
from mscol_cli.runs.checkpoint import Checkpoint, refuse_occupied, weights_hash
from mscol_cli.runs.layout import CONFIG, PROBE_REPORT, PROBES
from mscol_cli.runs.published import portable, publish
from mscol_cli.system.files import used_bytes
from mscol_cli.system.outcomes import writing
from mscol_cli.system.temporary import temporary_folder
from mscol_cli.system.units import format_bytes

CARD = "README.md"
_LICENCE = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,62}[a-z0-9])?")


@dataclass(frozen=True)
class PushResult:
    """Result of `mscol push`.

    Attributes:
        repository: `hf:ORG/NAME@COMMIT`, or `hf:ORG/NAME` if nothing was uploaded.
        folder: The written folder; None after an upload.
        model: Name of the model.
        model_hash: SHA-256 of the weights in the repository.
        probes: Number of probe results on the card.
        bytes: Size of the files.
    """

    repository: str
    folder: Path | None
    model: str
    model_hash: str
    probes: int
    bytes: int


def check_request(request: PushRequest) -> HubName:
    """The repository to push to. Raises UsageError if the repository or the licence is unusable."""
    name, licence = parse_name(request.repository), request.licence
    if name.revision is not None:
        raise UsageError(f"push writes to the main branch: use hf:{name.repository}.")
    if licence is None:
        raise UsageError(
            "name the licence of the weights with --license, such as mit, cc-by-4.0 or other."
        )
    if not _LICENCE.fullmatch(licence):
        raise UsageError(
            f"'{licence}' cannot be a licence: the Hub spells them as in mit or cc-by-nc-sa-4.0."
        )
    return name


def run(request: PushRequest, progress: Progress) -> PushResult:
    """Write a model folder with its card, and upload it.

    Raises:
        UsageError: The repository, the licence, the output or the model cannot be used, or there is
            no access token.
        MissingDataError: The model does not exist.
        MscolError: The upload failed, or the output cannot be written.
    """
    name = check_request(request)
    if request.output is None:
        require_token()
    else:
        refuse_occupied(request.output)
    model = load_model(request.model, load_registry(), torch.device("cpu"))
    progress.note(model.describe())
    probes = list(_probes(model, progress))
    if request.output is not None:
        with writing(request.output):
            return _write(request, name, model, probes, request.output)
    with temporary_folder(Path(tempfile.gettempdir()) / "push") as parent:
        parent.chmod(0o700)
        folder = parent / "model"
        result = _write(request, name, model, probes, folder)
        progress.note(f"uploading {format_bytes(result.bytes)} to {name}")
        message = f"Upload {model.name} with mscol"
        commit = upload(folder, name, request.private, message)
    return replace(result, repository=str(HubName(name.repository, commit)), folder=None)


def _write(
    request: PushRequest,
    name: HubName,
    model: Model,
    probes: list[ProbeResult],
    folder: Path,
) -> PushResult:
    checkpoint = _checkpoint(model)
    card = model.part.entry.card
    content = CardContent(
        repository=name.repository,
        licence=request.licence or "",
        info={**portable(checkpoint), "step": model.step},
        encoder=_describe(model.encoder),
        probes=probes,
        standalone=card.standalone if isinstance(card, EncoderCard) else "",
    )

    def write_card(written: Path) -> dict[str, str]:
        return {CARD: model_card(content, weights_hash(written))}

    publish(checkpoint, folder, settings=CONFIG, texts=write_card)
    files = used_bytes(folder)
    return PushResult(str(name), folder, model.name, weights_hash(folder), len(probes), files)


def _describe(encoder: Encoder) -> dict[str, str]:
    parameters = sum(weights.numel() for weights in encoder.parameters())
    return {
        "dimensions": f"{encoder.dim:,}",
        "parameters": f"{parameters:,}",
        "sample rate": f"{encoder.sample_rate:,} Hz",
        "window": f"{encoder.crop_samples / encoder.sample_rate:.3f} s",
        "hop": f"{encoder.window_hop / encoder.sample_rate:.3f} s",
        "level": encoder.level,
    }


def _checkpoint(model: Model) -> Checkpoint:
    assert model.folder is not None  # of a model that was loaded from a folder
    return Checkpoint(model.folder, model.step, model.info)


def _probes(model: Model, progress: Progress) -> Iterator[ProbeResult]:
    """Results of the model's weights, in its run; those of other weights are named and left out."""
    assert model.run is not None  # of a model that was loaded from a folder
    for path in sorted((model.run / PROBES).glob(f"*/{PROBE_REPORT}")):
        try:
            result = read(path.parent)
        except MscolError as error:
            progress.warn(f"left out of the card: {error}")
            continue
        if result.model_hash == model.hash:
            yield result
        else:
            progress.warn(f"left out of the card, as it is of other weights: {path.parent}")
