"""Stages that synthesise the music of a study, and separate a store."""

from __future__ import annotations

from pathlib import Path

from mscol_cli.contracts.progress import Progress, Silent
from mscol_cli.download.table import load_table
from mscol_cli.errors import MissingDataError, UsageError
from mscol_cli.separate.request import SeparateRequest
from mscol_cli.separate.separator import build_separator, resolve
from mscol_cli.store import SeparatorIdentity, StoreHeader, store_beside
from mscol_cli.store.header import HEADER
from mscol_cli.study.file import StudyStore
from mscol_cli.study.stages import ComputeOptions, Execute, Stage, Status, words
from mscol_cli.synthetic import Collection, write_collection
from mscol_cli.system.json_files import read_json
from mscol_cli.system.values import as_json

COLLECTION = "collection.json"
WORKERS = 2


class MusicStage(Stage):
    """Synthetic music, in the layouts of the data sets of the tasks."""

    name = "music"
    is_intermediate = True

    def __init__(self, folder: Path, songs: int) -> None:
        self._folder, self._songs = folder, songs

    def status(self) -> Status:
        """Done if the record of the collection exists."""
        if not (self._folder / COLLECTION).is_file():
            return Status("to do")
        songs = read_json(self._folder / COLLECTION, "collection of music").get("songs")
        if songs != self._songs:
            raise UsageError(
                f"{self._folder} holds {songs} songs, not {self._songs}: choose another -o."
            )
        return Status("done")

    def command(self) -> list[str]:
        """Empty: no command synthesises music."""
        return []

    def run(self, progress: Progress, execute: Execute) -> int:
        """Synthesise the collection."""
        synthesise(self._folder, self._songs, WORKERS, progress)
        return 0


def synthesise(folder: Path, songs: int, workers: int, progress: Progress) -> Collection:
    """Synthesise a collection, unless it exists already."""
    progress.note(f"synthesising music in {folder}")
    progress.begin("synthesise", None, "jobs")
    done = 0

    def report(now: int, total: int) -> None:
        nonlocal done
        if done == 0:
            progress.begin("synthesise", total, "jobs")
        progress.advance(now - done)
        done = now

    collection = write_collection(
        folder,
        songs=songs,
        tracks=min(max(16, songs * 5 // 6), 160),
        notes=min(max(40, songs * 2), 400),
        workers=workers,
        progress=report,
    )
    progress.end()
    return collection


class SeparateStage(Stage):
    """Separation of a store."""

    is_intermediate = True

    def __init__(
        self, store: StudyStore, data: Path, compute: ComputeOptions, needs: tuple[str, ...]
    ) -> None:
        self.name, self.needs = f"separate {store.name}", needs
        self.inputs, self.path = data / store.inputs, data / f"{store.name}.store"
        self._store, self._compute = store, compute

    def status(self) -> Status:
        """Done if the store is sealed."""
        if not (self.path / HEADER).exists():
            return Status("to do")
        header = StoreHeader.read(self.path)
        if not header.sealed:
            return Status("resume", "begun")
        self._check(header)
        return Status("done", f"{header.tracks:,} tracks")

    def command(self) -> list[str]:
        """The same command starts and resumes."""
        output = [] if self.path == store_beside(self.inputs) else ["-o", str(self.path)]
        settings = words(self._store.settings, self._store.options)
        compute = self._compute.words(many=True)
        return ["separate", str(self.inputs), *settings, *compute, *output]

    def missing(self) -> list[str]:
        """Missing music, and missing weights of the separator."""
        lines = [] if self.needs else missing_folder(self.inputs, self._store.inputs)
        try:
            build_separator(self._request(offline=True), Silent())
        except MissingDataError as error:
            lines.append(_weights(resolve(self._request())[1], error))
        return lines

    def _request(self, offline: bool = False) -> SeparateRequest:
        settings = dict(self._store.settings)
        options = self._store.options
        inputs = (self.inputs,)
        return SeparateRequest(inputs, self.path, options=options, offline=offline, **settings)

    def _check(self, header: StoreHeader) -> None:
        if changed := header.separator.differences(self._identity(), shared=True):
            raise UsageError(
                f"{self.path} was separated with other settings: {'; '.join(changed)}. Move it"
                " away, or rename the study's store."
            )

    def _identity(self) -> SeparatorIdentity:
        """Identity of the study's separator; without provenance if its weights are missing."""
        request = self._request(offline=True)
        try:
            return build_separator(request, Silent(), plan_only=True)[1]
        except MissingDataError:
            part = resolve(request)[0]
            return SeparatorIdentity(part.name, options=as_json(part.options))


def missing_folder(folder: Path, collection: str) -> list[str]:
    """Instruction for a missing data set, as a list of at most one line."""
    if folder.is_dir() and any(folder.iterdir()):
        return []
    if collection in load_table():
        default = folder == Path(load_table()[collection].folder)
        return [f"mscol download {collection}" + ("" if default else f" -o {folder}")]
    return [f"put the music or data set of '{collection}' in {folder}"]


def _weights(model: str | None, error: MissingDataError) -> str:
    return f"mscol download {model}" if model in load_table() else str(error)
