"""map: folder of vectors -> positions, neighbours and groups -> one page."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from mscol_cli import __version__
from mscol_cli.contracts.progress import Progress
from mscol_cli.errors import UsageError
from mscol_cli.map.colouring import Colouring, by_cluster, by_folder
from mscol_cli.map.labels import read_colouring
from mscol_cli.map.layout import TSNE, choose_method, cluster, lay_out, reduce_vectors
from mscol_cli.map.page import Map, audio_link, map_html
from mscol_cli.map.request import MapRequest
from mscol_cli.similar.library import Library
from mscol_cli.similar.search import ClipVectors, FloatArray, Match, nearest
from mscol_cli.system.files import write_text
from mscol_cli.system.outcomes import writing
from mscol_cli.system.units import counted

FOLDER, CLUSTER = "folder", "cluster"
NEIGHBOURS = 10
DISTANCES = {
    TSNE: "Clips that lie close together are similar; distances between groups mean little.",
    "PCA": "The axes are the two directions in which the vectors vary most.",
}


@dataclass(frozen=True)
class MapResult:
    """Result of `mscol map`.

    Attributes:
        output: The page.
        model: Name of the model of the vectors.
        clips: Number of clips.
        layout: `t-SNE` or `PCA`.
        playable: Number of clips whose audio is at hand.
        colours: Names of the groupings in the page.
        seconds: Duration.
    """

    output: Path
    model: str
    clips: int
    layout: str
    playable: int
    colours: Sequence[str] = field(default_factory=list)
    seconds: float = 0.0


def run(request: MapRequest, progress: Progress) -> MapResult:
    """Write a map.

    Raises:
        MissingDataError: The folder has no vectors, or a CSV file does not exist.
        UsageError: An option cannot be used, or the output is a folder.
        MscolError: A shard is truncated, or the page cannot be written.
    """
    begun = time.monotonic()
    if request.clusters < 1:
        raise UsageError(f"--clusters must be 1 or more, not {request.clusters}.")
    if request.output.is_dir():
        raise UsageError(f"{request.output} is a folder: name a file in it.")
    library = Library.open(request.folder)
    ids = [entry.id for entry in library.entries]
    labelled = {
        text: read_colouring(text, ids) for text in request.colours if text not in (FOLDER, CLUSTER)
    }
    links = _links(library, request)
    layout = _lay_out(library, request.clusters, progress)
    known = {FOLDER: by_folder(ids), CLUSTER: layout.clusters, **labelled}
    colourings = [known[name] for name in dict.fromkeys([*request.colours, *known])]
    content = Map(
        title=request.title or f"Map of {request.folder.resolve().name}",
        lead=f"{counted(len(ids), 'clip')} by {library.folder.header.model}."
        f" {DISTANCES[layout.method]}",
        footer=f"mscol {__version__}, layout by {layout.method}",
        ids=ids,
        links=links,
        positions=layout.positions,
        neighbours=layout.neighbours,
        colourings=colourings,
    )
    with writing(request.output):
        write_text(request.output, map_html(content))
    return MapResult(
        output=request.output,
        model=library.folder.header.model,
        clips=len(ids),
        layout=layout.method,
        playable=sum(map(bool, links or ())),
        colours=[colouring.name for colouring in colourings],
        seconds=time.monotonic() - begun,
    )


@dataclass(frozen=True)
class _Layout:
    """Positions, clusters and neighbours of all clips, and the method of the positions."""

    method: str
    positions: FloatArray
    clusters: Colouring
    neighbours: Sequence[Sequence[Match]]


def _lay_out(library: Library, clusters: int, progress: Progress) -> _Layout:
    clips = len(library.entries)
    method = choose_method(clips)
    vectors = library.vectors.means()
    # Sums over several threads would be rounded differently in each run.
    with threadpool_limits(1):
        components = reduce_vectors(vectors)
        progress.note(f"layout of {counted(clips, 'clip')} by {method}{_wait(clips, method)}")
        positions = lay_out(components, method)
        groups = by_cluster(cluster(components, clusters).tolist())
    progress.begin("neighbours", clips, "clips")
    each = np.arange(clips)
    means = ClipVectors([vectors], each, np.ones_like(each))
    own = [(clip,) for clip in range(clips)]
    near = nearest(means, vectors, NEIGHBOURS, own, progress.advance)
    progress.end()
    return _Layout(method, positions, groups, near)


def _wait(clips: int, method: str) -> str:
    minutes = clips // 5000
    return f" (about {counted(minutes, 'minute')})" if method == TSNE and minutes else ""


def _links(library: Library, request: MapRequest) -> list[str] | None:
    if request.no_audio:
        return None
    return [audio_link(Path(entry.path), request.output) for entry in library.entries]
