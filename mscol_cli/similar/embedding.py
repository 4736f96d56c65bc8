"""Vectors of queries that are not in the folder, by its model."""

from __future__ import annotations

from functools import cached_property, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mscol_cli.contracts.encoder import Encoder
from mscol_cli.contracts.progress import Progress
from mscol_cli.engine.devices import pick_device
from mscol_cli.engine.embedding import embed_files, whole_windows
from mscol_cli.engine.models import Model, resolve_model
from mscol_cli.engine.references import UNTRAINED
from mscol_cli.errors import BadInputError, MissingDataError, UsageError
from mscol_cli.host import load_registry
from mscol_cli.runs.layout import checkpoint_folder, find_named
from mscol_cli.similar.library import Library
from mscol_cli.similar.query import Query, after_end, pooled
from mscol_cli.similar.search import FloatArray


class QueryEmbedder:
    """Embeds queries; the model is loaded for the first one.

    Args:
        library: The folder of vectors.
        model: Reference of its model; None for the one that the folder names.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        progress: Receives notes.
    """

    def __init__(
        self, library: Library, model: str | None, device: str, progress: Progress
    ) -> None:
        self._library, self._reference = library, model
        self._device, self._progress = pick_device(device), progress

    @cached_property
    def model(self) -> Model:
        """The model of the folder.

        Raises:
            MissingDataError: It does not exist.
            UsageError: It is another model than that of the folder.
        """
        header, folder = self._library.folder.header, self._library.folder.path
        model, encoder = _reference(header.model)
        if self._reference is not None:
            model, encoder = self._reference, None
            if model == UNTRAINED:
                encoder = header.encoder
        registry = load_registry()
        try:
            loaded = resolve_model(model, encoder, registry, self._device)
            if model == UNTRAINED and loaded.hash != header.model_hash:
                # Without --encoder it has the seed and the options of the latest run.
                loaded = resolve_model(model, None, registry, self._device)
        except MissingDataError as error:
            reason = str(error).rstrip(".")
            raise MissingDataError(
                f"the model of {folder}, {header.model}, was not found ({reason}): give its path"
                " with --model"
            ) from error
        if loaded.hash != header.model_hash:
            raise UsageError(
                f"{folder} was made by {header.model} (hash {header.model_hash[:12]}), not by"
                f" {loaded.name} (hash {loaded.hash[:12]}): name its model with --model, or embed"
                " the folder again."
            )
        self._progress.note(loaded.describe())
        if header.source != "mixture":
            self._progress.warn(
                f"{folder} holds the source {header.source} of a store; a file is embedded as it is"
            )
        return loaded

    def embed(self, query: Query) -> FloatArray:
        """Vector of the file of a query, (dim,).

        Raises:
            BadInputError: The file cannot be read, is too short, or ends before the moment; or the
                query is a moment in a track of a store.
            MissingDataError: The model of the folder does not exist.
            UsageError: `--model` is not the model of the folder.
        """
        if query.path is None:
            raise BadInputError(
                f"{query.text}: {self._library.folder.path} has one vector for this track; embed"
                " the store with --pool none to search for moments"
            )
        return pooled(self._windows(query, query.path), self._library)

    def _windows(self, query: Query, path: Path) -> FloatArray:
        encoder, hop = self.model.encoder, self._library.folder.header.hop
        whole = query.at_s is None
        cut = partial(whole_windows, hop=hop) if whole else partial(_window_at, query)
        (result,) = embed_files(encoder, [path], device=self._device, cut=cut)
        if isinstance(result, BadInputError):
            raise result
        return result.windows


def _reference(name: str) -> tuple[str, str | None]:
    """Model and encoder for `resolve_model` from the name of a model, such as `run@100`."""
    if name.startswith(f"{UNTRAINED}-"):
        return UNTRAINED, name.removeprefix(f"{UNTRAINED}-")
    run, _, step = name.rpartition("@")
    folder = find_named(run) if run and step.isdecimal() else None
    if folder is None:
        return name, None
    checkpoint = checkpoint_folder(folder, int(step))
    return str(checkpoint if checkpoint.is_dir() else folder), None


def _window_at(query: Query, encoder: Encoder, samples: int) -> NDArray[np.int64]:
    """The window that starts at the moment of a query, or the last one of the clip."""
    start, last = round((query.at_s or 0) * encoder.sample_rate), samples - encoder.crop_samples
    if start >= samples:
        raise after_end(query, samples / encoder.sample_rate)
    return np.array([min(start, last)] if last >= 0 else [], dtype=np.int64)
