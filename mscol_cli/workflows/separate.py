"""separate: files -> decode -> separator -> 16 kHz mono -> store, sealed."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import cast

from mscol_cli.audio import find_audio
from mscol_cli.contracts.cards import SeparatorCard
from mscol_cli.contracts.progress import Progress
from mscol_cli.contracts.separator import InputFile, Separator, SeparatorContext, TrackInput
from mscol_cli.engine.devices import pick_device
from mscol_cli.errors import BadInputError, Interrupted, MscolError, UsageError
from mscol_cli.files import existing_parent
from mscol_cli.host import Part, find_part, load_registry
from mscol_cli.recipes import read_recipe, to_toml
from mscol_cli.separation import Separated, separate_groups
from mscol_cli.store import ACTIVE_LEVEL, SeparatorIdentity, Store, StoreWriter
from mscol_cli.store.copies import RECORD
from mscol_cli.workflows.failures import failure_records
from mscol_cli.workflows.listening import Copies, copies_folder, open_copies
from mscol_cli.workflows.tracks import unique_ids

Failures = list[tuple[str, str]]
DEFAULT_SEPARATOR = "openunmix"
GROUP = 8
"""Consecutive tracks that may share a batch."""


@dataclass(frozen=True)
class SeparateRequest:
    """What to separate, and how.

    Attributes:
        inputs: Files, and folders to search.
        output: The store; None puts it beside the one input folder, as `FOLDER.store`.
        separator: Name of the separator; None for the recipe's, or `openunmix`.
        model: Weights: a name the separator knows, or a path; None is the recipe's, or the
            separator's default.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        options: `KEY=VALUE` for the separator.
        recipe: Name or file of a recipe.
        export: Format of listening copies, `flac`, `wav` or `ogg`; None makes none.
        export_dir: Where they go; None puts them beside the store, `X-stems` for `X.store`.
        offline: Fetch no weights.
    """

    inputs: tuple[Path, ...]
    output: Path | None = None
    separator: str | None = None
    model: str | None = None
    device: str = "auto"
    options: tuple[str, ...] = ()
    recipe: str | None = None
    export: str | None = None
    export_dir: Path | None = None
    offline: bool = False


@dataclass(frozen=True)
class SeparateResult:
    """What was made.

    Attributes:
        store: Folder of the store.
        tracks: Tracks in it.
        done_before: Tracks among the inputs that were in it already.
        failures: Inputs that could not be used, with the reason.
        hours: Of music in the store.
        active: By source, the share of segments in which it sounds (mean |x| above 0.01).
        seconds: How long it took.
        exported: Folder of the listening copies; None if none were asked for.
    """

    store: Path
    tracks: int
    done_before: int
    failures: Failures = field(default_factory=list)
    hours: float = 0.0
    active: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    exported: Path | None = None


def dry_run(request: SeparateRequest) -> str:
    """The configuration of a separation, as TOML. Raises UsageError."""
    part, model = _resolve(request)
    content = {
        "separate": {"separator": part.name, "model": model},
        "separators": {part.name: asdict(part.options)},
    }
    return to_toml(content, "separate")


def run(request: SeparateRequest, progress: Progress) -> SeparateResult:
    """Separate the inputs into a sealed store, going on where an earlier run stopped.

    Raises:
        UsageError: An option, or a store made otherwise.
        MissingDataError: No input, or no weights.
        BadInputError: Not one input could be used.
        Interrupted: Stopped by Ctrl-C; the same command goes on.
    """
    begun = time.monotonic()
    output = _output(request)
    exported = copies_folder(request.export, request.export_dir, request.inputs, output)
    separator, identity = build_separator(request, progress)
    tracks = unique_ids(separator.tracks(_find_inputs(request, output, progress)))
    with (
        StoreWriter(output, separator.sources, identity) as writer,
        open_copies(exported, request.export, identity, separator.sources) as copies,
        _resumable(output),
    ):
        todo = _not_done(tracks, writer, copies, progress)
        failures = _separate_all(todo, separator, writer, copies, progress)
        if not writer.tracks:
            raise _nothing_usable(failures)
        writer.seal(failure_records(tracks, failures))
    result = _summary(output, len(tracks) - len(todo), failures, time.monotonic() - begun)
    return replace(result, exported=exported)


def _output(request: SeparateRequest) -> Path:
    if request.output is not None:
        output = request.output
    elif len(request.inputs) == 1 and request.inputs[0].is_dir():
        output = _beside(request.inputs[0])
    else:
        find_audio(request.inputs)  # a missing input deserves to be named before -o is asked for
        raise UsageError("name the store with -o STORE: only one input folder has a default.")
    if any(output.resolve() == source.resolve() for source in request.inputs):
        raise UsageError(f"{output} is an input too: name another place with -o.")
    return output


def _beside(folder: Path) -> Path:
    # A link keeps its own name and place; `.` and `..` have none.
    named = folder if folder.name not in ("", "..") else folder.resolve()
    return named.parent / f"{named.name}.store"


def build_separator(
    request: SeparateRequest, progress: Progress
) -> tuple[Separator, SeparatorIdentity]:
    """The separator that was asked for, and what identifies it; the licence of its weights is said.

    Raises:
        UsageError: There is none of that name, or an option of it is wrong.
        MissingDataError: Its weights are not there.
    """
    part, model = _resolve(request)
    device = str(pick_device(request.device))
    card = cast(SeparatorCard, part.entry.card)
    context = SeparatorContext(device, model, progress, request.offline)
    separator = card.build(part.options, context)
    if not isinstance(separator, Separator):
        raise UsageError(f"separator '{part.name}' of {part.entry.owner} built no Separator.")
    if "licence" in separator.passport:
        weights = separator.passport.get("model", part.name)
        progress.note(f"weights: {weights}, licence: {separator.passport['licence']}")
    return separator, _identity(part, separator)


def _resolve(request: SeparateRequest) -> tuple[Part, str | None]:
    """The separator and its `--model`: defaults under the recipe under what was given."""
    recipe = read_recipe(request.recipe)
    asked = recipe.settings("separate", {"separator": request.separator, "model": request.model})
    name = asked.get("separator", DEFAULT_SEPARATOR)
    if name != recipe.commands.get("separate", {}).get("separator", name):
        asked["model"] = request.model  # the recipe's was meant for its own separator
    part = find_part(
        load_registry(), "separator", name, request.options, recipe.preset("separators")
    )
    return part, asked.get("model")


def _identity(part: Part, separator: Separator) -> SeparatorIdentity:
    values = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in asdict(part.options).items()
    }
    entry, passport = part.entry, dict(separator.passport)
    return SeparatorIdentity(part.name, entry.owner, entry.version, values, passport)


def _find_inputs(request: SeparateRequest, output: Path, progress: Progress) -> list[InputFile]:
    files = find_audio(request.inputs)
    place = output.resolve()
    if not any(source.resolve() in place.parents for source in request.inputs):
        return files
    progress.note(f"{output} lies inside an input; nothing in it is taken as music")
    return [file for file in files if place not in file.path.resolve().parents]


@contextmanager
def _resumable(output: Path) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(
            f"stopped; finished tracks are safe in {output}: run the same command again to go on"
        ) from None
    except OSError as error:
        raise MscolError(
            f"{output} cannot be written ({error.strerror}): make room or check the disk, then run"
            " the same command again"
        ) from error


def _not_done(
    tracks: Sequence[TrackInput], writer: StoreWriter, copies: Copies | None, progress: Progress
) -> list[TrackInput]:
    removed = sorted(writer.tracks - {track.id for track in tracks})
    if removed:
        progress.note(
            f"{len(removed)} tracks of {writer.path} are not among the inputs and stay in it, such"
            f" as {removed[0]}"
        )
    todo = []
    progress.begin("looking for what is done", len(tracks), "tracks")
    for track in tracks:
        if track.problem is not None or not _is_done(track, writer, copies):
            todo.append(track)
        progress.advance()
    progress.end()
    return todo


def _is_done(track: TrackInput, writer: StoreWriter, copies: Copies | None) -> bool:
    stored = writer.holds(track.id, track.files)
    return stored and (copies is None or copies.holds(track.id, writer.stamps(track.id)))


def _separate_all(
    tracks: Sequence[TrackInput],
    separator: Separator,
    writer: StoreWriter,
    copies: Copies | None,
    progress: Progress,
) -> Failures:
    failures: Failures = []
    progress.begin("separating", len(tracks), "tracks")
    groups = [tracks[first : first + GROUP] for first in range(0, len(tracks), GROUP)]
    scratch = existing_parent(writer.path)
    for track, separated in separate_groups(groups, separator, scratch, copies is not None):
        try:
            _keep(separated, writer, copies)
        except BadInputError as error:
            progress.warn(f"skipped {error}")
            failures.append((track.id, str(error)))
        progress.advance(failed=str(len(failures)))
    progress.end()
    if copies is not None and copies.scaled:
        progress.note(
            f"{copies.scaled} tracks would have clipped: all their sources were turned down alike,"
            f" by the gain in {copies.folder / RECORD}"
        )
    return failures


def _keep(separated: Separated | BadInputError, writer: StoreWriter, copies: Copies | None) -> None:
    if isinstance(separated, BadInputError):
        raise separated
    track_id, stamps = separated.track.id, separated.stamps
    with closing(separated):
        if copies is not None:
            copies.write(track_id, stamps, separated.copies, separated.sample_rate)
        if not writer.made_from(track_id, stamps):
            writer.add(track_id, stamps, separated.waveforms)


def _nothing_usable(failures: Failures) -> BadInputError:
    if len(failures) == 1:
        return BadInputError(failures[0][1])
    return BadInputError(f"none of {len(failures)} inputs can be used; the first: {failures[0][1]}")


def _summary(output: Path, done_before: int, failures: Failures, seconds: float) -> SeparateResult:
    store = Store.open(output)
    sounding = (store.index.segment_level > ACTIVE_LEVEL).mean(axis=0)
    return SeparateResult(
        store=output,
        tracks=store.header.tracks,
        done_before=done_before,
        failures=failures,
        hours=store.header.hours,
        active={
            name: float(share) for name, share in zip(store.index.sources, sounding, strict=True)
        },
        seconds=seconds,
    )
