"""What is fuzzed: every reader of files that come from elsewhere, with inputs to begin with.

The first byte of an input chooses the file of a sound folder that the other bytes replace. A target
returns for files that can be read, and for files that are refused with an error of mscol's.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from mscol_cli.audio import headers, lengths, matroska, mpeg, ogg
from mscol_cli.audio.source import SourceFile
from mscol_cli.contracts.plans import Crops
from mscol_cli.contracts.progress import Silent
from mscol_cli.engine.models import recorded_encoder, recorded_objective
from mscol_cli.errors import MscolError
from mscol_cli.host import load_registry
from mscol_cli.pretrain.request import PretrainRequest
from mscol_cli.pretrain.settings import resolve_settings
from mscol_cli.probe.request import ProbeRequest
from mscol_cli.probe.settings import resolve_settings as resolve_probe
from mscol_cli.recipes.recipe import bundled_recipes, read_recipe
from mscol_cli.runs import listing
from mscol_cli.runs import verify as verify_run
from mscol_cli.runs.checkpoint import read_checkpoint, restorable
from mscol_cli.runs.layout import STAMP, WEIGHTS
from mscol_cli.runs.state import RunState
from mscol_cli.store import FileStamp, SeparatorIdentity, Store, StoreWriter, contents
from mscol_cli.store import verify as verify_store
from mscol_cli.vectors import VectorFolder
from mscol_cli.vectors import contents as vector_contents
from mscol_cli.vectors import verify as verify_vectors
from mscol_importers.bundle import open_bundle
from tests.audio.table.rows import ROWS
from tests.helpers.folders import write_vectors
from tests.helpers.tensorflow import Layout, write_checkpoint

LONGEST = 20_000
"""Bytes of the largest input to begin with: an input costs as much time as it has bytes."""


@dataclass
class Target:
    """A folder of files that are replaced one at a time, and the calls that read it.

    Attributes:
        folder: The folder.
        calls: Each reads the folder.
        others: Further inputs to begin with.
        files: The files that are replaced, with their sound content.
    """

    folder: Path
    calls: Sequence[Callable[[], object]]
    others: Iterable[bytes] = ()
    files: dict[Path, bytes] = field(init=False)

    def __post_init__(self) -> None:
        """Read the sound files."""
        paths = sorted(path for path in self.folder.rglob("*") if path.is_file())
        self.files = {path: path.read_bytes() for path in paths}

    def seeds(self) -> Iterator[bytes]:
        """Inputs to begin with: the sound files, and others."""
        for number, content in enumerate(self.files.values()):
            if 0 < len(content) <= LONGEST:
                yield bytes([number]) + content
        yield from self.others

    def __call__(self, data: bytes) -> None:
        """Read the folder with one file replaced. Raises what no reader may raise."""
        path = [*self.files][data[0] % len(self.files)] if data else next(iter(self.files))
        path.write_bytes(data[1:])
        try:
            for call in self.calls:
                try:
                    call()
                except MscolError:
                    continue
        finally:
            path.write_bytes(self.files[path])


def audio(folder: Path) -> Target:
    """The headers that mscol reads itself; those of libsndfile and FFmpeg are fuzzed elsewhere."""
    path = folder / "a.mp3"
    path.write_bytes(b"\0")
    readers: Sequence[Callable[[SourceFile], object]] = [
        headers.data_bytes,
        headers.wave_format,
        headers.caf_samples,
        headers.mp4_problem,
        headers.is_fragmented,
        headers.joined_at,
        headers.chunk_damage,
        lengths._asf_seconds,
        lambda source: [*matroska.declared_formats(source)],
        matroska.is_cut,
        mpeg.declared_seconds,
        ogg.scan_pages,
        SourceFile.zeros_at_end,
        lambda source: mpeg.inner_tag_bytes(source.at(0, 8192)),
        lambda source: mpeg.is_tag(source.at(0, 4096)),
    ]

    def read(reader: Callable[[SourceFile], object]) -> Callable[[], object]:
        def call() -> object:
            with SourceFile(path) as source:
                return reader(source)

        return call

    files = (b"\0" + row.build()[:LONGEST] for row in ROWS if row.seconds < 10)
    return Target(folder, [read(reader) for reader in readers], files)


def store(folder: Path) -> Target:
    """A sealed store of one track."""
    path, rng = folder / "a.store", np.random.default_rng(0)
    waveform = rng.standard_normal(16_000).astype(np.float32)
    with StoreWriter(path, ("vocals",), SeparatorIdentity("test")) as writer:
        stamp = {"mixture": FileStamp("a.wav", 1, 1, "")}
        writer.add("a", stamp, {"mixture": waveform, "vocals": waveform * 0})
        writer.seal()

    def read() -> None:
        opened = Store.open(path)
        index = opened.index
        zeros = np.zeros(min(1, len(index.track_ids)), np.int64)
        opened.gather(Crops(zeros, zeros, zeros), 16_000)
        opened.file_sizes()

    calls = [lambda: verify_store.run(path, Silent()), lambda: contents.info(path)]
    calls += [lambda: contents.tracks(path), lambda: contents.manifest(path), read]
    return Target(path, calls)


def vectors(folder: Path) -> Target:
    """A folder of vectors of three files, one of which failed."""
    path = folder / "vectors"
    write_vectors(path, {"a": [1, 2, 3], "b": [[3, 2, 1], [1, 1, 1]], "c": [0, 0, 0]})

    def read() -> None:
        opened = VectorFolder.open(path)
        opened.damaged(opened.entries)
        for entry in opened.entries:
            try:
                opened.read(entry)
            except MscolError:
                continue
            opened.start_s(entry)

    calls: list[Callable[[], object]] = [lambda: verify_vectors.run(path, Silent()), read]
    calls += [lambda: vector_contents.info(path)]
    calls += [lambda: vector_contents.export(path, folder / "v.csv")]
    return Target(path, calls)


def checkpoint(folder: Path) -> Target:
    """A run with a checkpoint of small tensors."""
    path, registry = folder / "run", load_registry()
    _write_run(path)
    inner = path / "checkpoints" / "step-00000002"

    def parts() -> None:
        info = read_checkpoint(inner).info
        recorded_encoder(info, registry, path)
        recorded_objective(info, registry, path)

    calls: list[Callable[[], object]] = [lambda: verify_run.run(str(path), Silent()), parts]
    calls += [lambda: restorable(path)]
    calls += [lambda: listing.show_run(str(path)), lambda: listing.list_runs(folder)]
    return Target(path, calls)


def _write_run(path: Path) -> None:
    """A run folder as `pretrain` leaves it, but for the size of its weights."""
    inner = path / "checkpoints" / "step-00000002"
    inner.mkdir(parents=True)
    part = {"name": "small", "options": {}, "owner": "mscol", "version": "1"}
    msa = {"name": "msa", "options": {}, "owner": "mscol", "version": "1"}
    info: dict[str, Any] = {
        **STAMP,
        "encoder": part,
        "objective": {"name": "msa", "parts": [msa]},
        "training": {"steps": 2, "batch_size": 8, "seed": 0},
        "store": {"path": "/music/a.store", "hash": "0" * 64},
        "machine": {"hostname": "a"},
    }
    (path / "run.json").write_text(json.dumps(info))
    (inner / "run.json").write_text(json.dumps({**info, "step": 2, "loss": 0.5}))
    (path / "metrics.jsonl").write_text('{"step": 1, "loss": 0.7}\n{"step": 2, "loss": 0.5}\n')
    state = RunState("finished", "", "a", 1, "0" * 8)
    (path / "state.json").write_text(json.dumps(asdict(state)))
    (path / "recipe.toml").write_text(bundled_recipes()[0].text)
    for stem in WEIGHTS:
        save_file({"a": torch.ones(2), "b.c": torch.zeros(1, 2)}, inner / f"{stem}.safetensors")


def recipe(folder: Path) -> Target:
    """A recipe, and the settings that `pretrain` and `probe` take from it."""
    path, registry = folder / "a.toml", load_registry()
    first, *others = (recipe.text.encode() for recipe in bundled_recipes())
    path.write_bytes(first)
    calls: list[Callable[[], object]] = [
        lambda: read_recipe(str(path)),
        lambda: resolve_settings(PretrainRequest(store=folder, recipe=str(path)), registry),
        lambda: resolve_probe(ProbeRequest("fma", data=folder, recipe=str(path)), registry),
    ]
    return Target(folder, calls, [b"\0" + text for text in others])


class _Any:
    """Equal to every checksum."""

    def __ne__(self, _other: object) -> bool:
        return False


def any_checksum(_data: bytes) -> _Any:
    """Replaces a checksum: a fuzzer finds no CRC, so it would see nothing behind one."""
    return _Any()


def tensorflow(folder: Path) -> Target:
    """The index and the data file of a TensorFlow checkpoint."""
    variables: dict[str, Any] = {
        **{f"network/layer-{number}/kernel": np.ones((2, 3), np.float32) for number in range(6)},
        "step": np.array(1 << 40),
        "graph": b"words",
    }
    index = write_checkpoint(folder / "small-1", variables, Layout(block_bytes=200))

    def read() -> None:
        bundle = open_bundle(index)
        bundle.check_data()
        for name in bundle.variables:
            try:
                bundle.read(name)
            except MscolError:
                continue

    return Target(folder, [read])


TARGETS: Mapping[str, Callable[[Path], Target]] = {
    target.__name__: target for target in (audio, store, vectors, checkpoint, recipe, tensorflow)
}


def make(name: str, folder: Path) -> Target:
    """The target of a name in a folder, which is emptied."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return TARGETS[name](folder)


def words(seeds: Iterable[bytes]) -> Iterator[str]:
    """Entries of a libFuzzer dictionary: the words of textual seeds."""
    found = {word for seed in seeds for word in seed.split(b'"')[1::2] if 0 < len(word) < 40}
    for word in sorted(found):
        escaped = "".join(f"\\x{byte:02x}" for byte in word)
        yield f'"{escaped}"'
