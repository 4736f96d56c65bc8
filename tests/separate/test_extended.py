"""separate, asked for more while it runs: one store, and no input of either run is lost."""

from __future__ import annotations

from pathlib import Path

from mscol_cli.contracts.progress import Silent
from mscol_cli.separate.request import SeparateRequest
from mscol_cli.separate.workflow import run
from mscol_cli.store import Store, verify
from mscol_cli.store.joining import store_lock
from mscol_cli.store.plan import Plan, PlannedTrack
from tests.helpers.audio import tones, write_audio


class Extending(Silent):
    """While the first track is written, another run plans one more."""

    def __init__(self, store: Path, more: Path) -> None:
        self._store, self._more = store, more

    def advance(self, amount: int = 1, **fields: str) -> None:
        plan = Plan.read(self._store)
        if amount and plan is not None and len(plan.units) == 1:
            planned = PlannedTrack("more", {"mixture": str(self._more)})
            with store_lock(self._store):
                plan.extended([planned], 0).write(self._store)


def test_what_another_run_plans_meanwhile_is_done_before_the_store_is_sealed(
    tmp_path: Path,
) -> None:
    for number in range(3):
        write_audio(tmp_path / "music" / f"{number}.wav", tones(1.5, seed=number))
    more = write_audio(tmp_path / "more.wav", tones(1.5, seed=3))
    output = tmp_path / "a.store"
    request = SeparateRequest((tmp_path / "music",), output, "none", device="cpu")
    result = run(request, Extending(output, more))
    store = Store.open(output)
    assert (result.sealed, store.index.track_ids) == (True, ("0", "1", "2", "more"))
    assert not verify.run(output, Silent()).damaged
