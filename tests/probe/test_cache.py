"""The cache of embeddings: work that was interrupted."""

from pathlib import Path

import pytest
import soundfile
import torch

from mscol_cli.contracts.progress import Silent
from mscol_cli.engine.models import untrained_model
from mscol_cli.errors import Interrupted
from mscol_cli.host import find_part, load_registry
from mscol_cli.probe.cache import embed_cached, open_cache
from mscol_cli.vectors import writer
from tests.helpers.audio import tones

# In groups of 16. After an interruption within the second one, the last group must not be smaller:
# few windows are embedded by the encoder itself, many by a folded copy.
CLIPS = 40


class Interrupting(Silent):
    """Interrupts after some clips."""

    def __init__(self, clips: int) -> None:
        self.left = clips

    def advance(self, amount: int = 1, **fields: str) -> None:
        self.left -= amount
        if self.left < 0:
            raise Interrupted("stopped")


@pytest.mark.slow
def test_interrupted_embeddings_are_those_of_an_undisturbed_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "_FLUSH_SECONDS", 0.0)
    paths = [tmp_path / f"{number:02}.wav" for number in range(CLIPS)]
    for number, path in enumerate(paths):
        soundfile.write(path, tones(2.5, seed=number)[0], 16000)
    model = untrained_model(find_part(load_registry(), "encoder", "small"), torch.device("cpu"))
    found = []
    for name, clips in (("whole", CLIPS), ("interrupted", CLIPS // 2 + 1)):
        monkeypatch.setenv("MSCOL_CACHE", str(tmp_path / name))
        if clips < CLIPS:
            with pytest.raises(Interrupted), open_cache(model) as folder:
                embed_cached(folder, model, paths, Interrupting(clips))
        with open_cache(model) as folder:
            assert (folder.find(str(paths[0])) is not None) == (clips < CLIPS)
            found.append(embed_cached(folder, model, paths, Silent()).windows[:])
    assert torch.equal(*found)
