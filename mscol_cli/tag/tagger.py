"""From the embedded windows of a file to its tags."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mscol_cli.engine.embedding import ClipEmbedding
from mscol_cli.probe.head import Head
from mscol_cli.tag.output import Tag, TaggedFile, TaggedWindow


@dataclass(frozen=True)
class Tagger:
    """Applies a head to embedded files.

    Attributes:
        head: The head.
        top: Maximum number of classes per file or window.
        windows: Also tag each window.
    """

    head: Head
    top: int
    windows: bool = False

    def tag(self, id_: str, clip: ClipEmbedding) -> TaggedFile:
        """Tag a file, whose score is computed from its windows as the probe scores a clip."""
        (tags,) = self._tags(clip.windows, [len(clip.windows)])
        if not self.windows:
            return TaggedFile(id_, tags)
        by_window = self._tags(clip.windows, [1] * len(clip.windows))
        pairs = zip(clip.start_s.tolist(), by_window, strict=True)
        return TaggedFile(id_, tags, [TaggedWindow(start, tags) for start, tags in pairs])

    def _tags(self, windows: NDArray[np.float32], counts: Sequence[int]) -> list[list[Tag]]:
        """Top tags of clips, given their windows (windows, dim) and the number of each."""
        probabilities = self.head.probabilities(self.head.clips(windows, counts))
        assigned = self.head.assigned(probabilities)
        order = np.argsort(-probabilities, axis=1, kind="stable")[:, : self.top]
        names = self.head.record.classes
        return [
            [Tag(names[at], float(probabilities[row, at]), bool(assigned[row, at])) for at in best]
            for row, best in enumerate(order.tolist())
        ]
