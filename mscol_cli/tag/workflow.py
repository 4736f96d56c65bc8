"""tag: head and its model -> audio -> windows -> encoder -> classifier -> calibrated scores."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from mscol_cli.contracts.progress import Progress
from mscol_cli.embed.inputs import is_silent_reason
from mscol_cli.engine.devices import pick_device
from mscol_cli.engine.embedding import ClipEmbedding
from mscol_cli.errors import UsageError
from mscol_cli.host import load_registry
from mscol_cli.probe.head import Head, HeadRecord, read_head
from mscol_cli.system.outcomes import Failures, nothing_usable, warn_skipped, writing
from mscol_cli.system.units import counted
from mscol_cli.tag.inputs import Embedded, TagInputs, find_tag_inputs
from mscol_cli.tag.model import load_head_model
from mscol_cli.tag.output import TaggedFile, check_tag_path, write_tags
from mscol_cli.tag.request import TagRequest
from mscol_cli.tag.tagger import Tagger


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
        UsageError: The format of the output is unknown, two clips have the same name, the head is
            damaged, or the model or a folder of vectors is not that of the head.
        MissingDataError: The head, its model or an input does not exist, or the inputs hold no
            audio.
        BadInputError: No input could be used; nothing is written.
        MscolError: The output cannot be written.
    """
    begun = time.monotonic()
    _check(request)
    head = read_head(request.head)
    inputs = find_tag_inputs(request.inputs, request.source, head, request.head)
    name, embedded = _embed(request, head, inputs, progress)
    tagger = Tagger(head, request.top, request.windows)
    tagging = _Tagging(list(inputs.audio.unlisted))
    tagged = tagging.run(embedded, len(inputs), tagger, progress)
    files: Sequence[TaggedFile] = ()
    if request.output is None:
        files = list(tagged)
    else:
        with writing(request.output):
            write_tags(tagged, request.output, _provenance(request, head.record, name))
    return TagResult(
        head=request.head,
        task=head.record.task,
        multilabel=head.record.multilabel,
        model=name,
        model_hash=head.record.model.hash,
        head_sha256=head.record.sha256,
        output=request.output,
        clips=tagging.count,
        files=files,
        failures=tagging.failures,
        seconds=time.monotonic() - begun,
    )


def _check(request: TagRequest) -> None:
    if request.top < 1:
        raise UsageError(f"-k must be 1 or more, not {request.top}.")
    if request.output is not None:
        check_tag_path(request.output)


def _embed(
    request: TagRequest, head: Head, inputs: TagInputs, progress: Progress
) -> tuple[str, Embedded]:
    """Name of the model, and the embeddings of all inputs. Folders of vectors need no model."""
    if not inputs.audio.clips and request.model is None:
        return head.record.model.name, inputs.read()
    device = pick_device(request.device)
    model = load_head_model(head, request.head, request.model, load_registry(), device)
    progress.note(model.describe())
    return model.name, chain(inputs.embed(model.encoder, device, progress), inputs.read())


@dataclass
class _Tagging:
    """Tags clips, and counts them.

    Attributes:
        failures: Clips that could not be used, with the reason.
        count: Number of tagged clips.
    """

    failures: Failures
    count: int = 0

    def run(
        self, embedded: Embedded, total: int, tagger: Tagger, progress: Progress
    ) -> Iterator[TaggedFile]:
        """Yield the tags of each usable clip.

        Raises:
            BadInputError: No clip is usable.
        """
        for _, reason in self.failures:
            progress.warn(f"skipped {reason}")
        progress.begin("tagging", total, "clips")
        total += len(self.failures)
        silent = 0
        for name, result in embedded:
            if isinstance(result, ClipEmbedding):
                self.count += 1
                yield tagger.tag(name, result)
            elif is_silent_reason(str(result)):
                silent += 1
            else:
                warn_skipped(progress.warn, str(result), total)
                self.failures.append((name, str(result)))
            progress.advance(failed=str(len(self.failures)))
        progress.end()
        if silent:
            progress.note(f"no tags for {counted(silent, 'track')}: the source is silent")
        if not self.count:
            raise nothing_usable(self.failures, total)


def _provenance(request: TagRequest, record: HeadRecord, model: str) -> dict[str, Any]:
    return {
        "task": record.task,
        "multilabel": record.multilabel,
        "windows": request.windows,
        "head": str(request.head),
        "head_sha256": record.sha256,
        "model": model,
        "model_hash": record.model.hash,
    }
