"""tag: head and its model -> audio -> windows -> encoder -> classifier -> calibrated scores."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch

from mscol_cli.audio import AudioListing, check_unique, find_audio
from mscol_cli.contracts.encoder import Encoder
from mscol_cli.contracts.progress import Progress
from mscol_cli.engine.devices import pick_device
from mscol_cli.engine.embedding import embed_files
from mscol_cli.engine.models import Model
from mscol_cli.engine.waveforms import load_waveform
from mscol_cli.errors import BadInputError, UsageError
from mscol_cli.host import load_registry
from mscol_cli.probe.head import HeadRecord, read_head
from mscol_cli.system.outcomes import Failures, nothing_usable, writing
from mscol_cli.tag.model import load_head_model
from mscol_cli.tag.output import TaggedFile, check_tag_path, write_tags
from mscol_cli.tag.tagger import Tagger


@dataclass(frozen=True)
class TagRequest:
    """Settings of `mscol tag`.

    Attributes:
        inputs: Audio files, and folders to search.
        head: Folder of the result of a probe with a saved head.
        top: Maximum number of classes per file or window.
        model: Model reference; None for the model that the head was trained on.
        windows: Also tag each window.
        output: Output file, .csv or .json; None to return the tags.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
    """

    inputs: tuple[Path, ...]
    head: Path
    top: int
    model: str | None = None
    windows: bool = False
    output: Path | None = None
    device: str = "auto"


@dataclass(frozen=True)
class TagResult:
    """Result of `mscol tag`.

    Attributes:
        head: Folder of the head.
        task: Task of the head.
        multilabel: Whether a file may have several classes.
        model: Name of the model.
        model_hash: SHA-256 of its weights.
        head_sha256: SHA-256 of the weights of the head.
        output: The file; None if the tags are in `files`.
        clips: Number of tagged files.
        files: Tags of each file; empty if they were written to a file.
        failures: Inputs that could not be used, with the reason.
        seconds: Elapsed time.
    """

    head: Path
    task: str
    multilabel: bool
    model: str
    model_hash: str
    head_sha256: str
    output: Path | None
    clips: int
    files: Sequence[TaggedFile] = ()
    failures: Failures = field(default_factory=list)
    seconds: float = 0.0


def run(request: TagRequest, progress: Progress) -> TagResult:
    """Tag every input; with an output, memory does not grow with the number of files.

    Raises:
        UsageError: The format of the output is unknown, two files have the same name, the head is
            damaged, or the model is not that of the head.
        MissingDataError: The head, its model or an input does not exist, or the inputs hold no
            audio.
        BadInputError: No input could be used; nothing is written.
        MscolError: The output cannot be written.
    """
    begun = time.monotonic()
    _check(request)
    head = read_head(request.head)
    listing = find_audio(request.inputs)
    check_unique((file.name, file.path) for file in listing.files)
    device = pick_device(request.device)
    model = load_head_model(head, request.head, request.model, load_registry(), device)
    progress.note(model.describe())
    tagger = Tagger(head, request.top, request.windows)
    failures: Failures = list(listing.failures)
    tagged = _tag(listing, tagger, model.encoder, device, failures, progress)
    files: Sequence[TaggedFile] = ()
    if request.output is None:
        files = list(tagged)
    else:
        with writing(request.output):
            write_tags(tagged, request.output, _provenance(request, head.record, model))
    return TagResult(
        head=request.head,
        task=head.record.task,
        multilabel=head.record.multilabel,
        model=model.name,
        model_hash=model.hash,
        head_sha256=head.record.sha256,
        output=request.output,
        clips=len(listing.files) + len(listing.failures) - len(failures),
        files=files,
        failures=failures,
        seconds=time.monotonic() - begun,
    )


def _check(request: TagRequest) -> None:
    if request.top < 1:
        raise UsageError(f"-k must be 1 or more, not {request.top}.")
    if request.output is not None:
        check_tag_path(request.output)


def _tag(
    listing: AudioListing,
    tagger: Tagger,
    encoder: Encoder,
    device: torch.device,
    failures: Failures,
    progress: Progress,
) -> Iterator[TaggedFile]:
    """Yield the tags of each usable file; the others are added to `failures`.

    Raises:
        BadInputError: No file is usable.
    """
    for _, reason in listing.failures:
        progress.warn(f"skipped {reason}")
    progress.begin("tagging", len(listing.files), "files")
    paths = [file.path for file in listing.files]
    decode = partial(load_waveform, warn=progress.warn)
    results = embed_files(encoder, paths, device=device, decode=decode)
    usable = 0
    for file, result in zip(listing.files, results, strict=True):
        if isinstance(result, BadInputError):
            progress.warn(f"skipped {result}")
            failures.append((file.name, str(result)))
        else:
            usable += 1
            yield tagger.tag(file.name, result)
        progress.advance(failed=str(len(failures)))
    progress.end()
    if not usable:
        raise nothing_usable(failures, len(listing.files) + len(listing.failures))


def _provenance(request: TagRequest, record: HeadRecord, model: Model) -> dict[str, Any]:
    return {
        "task": record.task,
        "multilabel": record.multilabel,
        "windows": request.windows,
        "head": str(request.head),
        "head_sha256": record.sha256,
        "model": model.name,
        "model_hash": model.hash,
    }
