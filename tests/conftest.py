"""What many tests start from: a small collection, a sealed store, a trained run; made once."""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

# Each worker of the suite has a core: threads of several would wait for each other, spinning. Read
# when numpy and torch are loaded, so it comes first; processes that tests start have it too.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# As the command line sets it: commands in this process and in others give the same bits.
os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")

from mscol_cli.app import run as run_app
from mscol_cli.synthetic import Collection, write_collection
from mscol_cli.system.locks import Lock
from tests.helpers.downloads import Files, Server, serving, write_table
from tests.helpers.hub import TOKEN, Hub, serving_hub

Command = Callable[..., int]
Offer = Callable[..., None]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what talks to the web server of the fixture."""
    for item in items:
        if {"server", "hub"} & {*getattr(item, "fixturenames", ())}:
            item.add_marker("network")


@pytest.fixture(autouse=True, scope="session")
def shared_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What fixtures that are made once are made in: no colour, and no cache of the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_COLOR", "1")
        patch.setenv("MSCOL_TIMESTAMPS", "0")
        patch.setenv("MSCOL_CACHE", str(tmp_path_factory.mktemp("cache")))
        for name in ("MSCOL_VERBOSE", "MSCOL_LOG_FILE", "MSCOL_MIRROR", "MSCOL_DOWNLOADS"):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(autouse=True)
def quiet_environment(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of the test's own, and no trace of an earlier test's --verbose and --log-file."""
    # Tests without a folder share a cache: thousands of folders take seconds.
    if "tmp_path" in request.fixturenames:
        monkeypatch.setenv("MSCOL_CACHE", str(request.getfixturevalue("tmp_path") / "cache"))
    for name in ("MSCOL_VERBOSE", "MSCOL_LOG_FILE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def mscol(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    """Run a command line in an empty folder; returns the exit code."""
    monkeypatch.chdir(tmp_path)

    def execute(*arguments: object) -> int:
        return run_app([str(argument) for argument in arguments])

    return execute


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of all workers, for what takes long to make and is never changed."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "shared"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def collection(shared_folder: Path) -> Collection:
    """Sixteen songs of five seconds with true stems, in the layouts of the real data sets."""
    with Lock(shared_folder / "collection.lock"):  # the first worker makes it, others wait
        return write_collection(shared_folder / "data", songs=16, seconds=5, notes=40)


@pytest.fixture(scope="session")
def store(collection: Collection, shared_folder: Path) -> Path:
    """A sealed store of the collection's true stems."""
    path = shared_folder / "stems.store"
    with Lock(shared_folder / "store.lock"):
        run_in(shared_folder, ["separate", collection.stems, "--separator", "stems", "-o", path])
    return path


@pytest.fixture(scope="session")
def trained(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of six updates with the small encoder."""
    path = tmp_path_factory.mktemp("trained") / "run"
    options = ["--encoder", "small", "--steps", 6, "--batch-size", 8, "--device", "cpu"]
    run_in(path.parent, ["pretrain", store, "--objective", "msa", *options, "-o", path])
    return path


@pytest.fixture
def bundled(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for the bundled model `mini`, made of the trained run."""
    from mscol_cli.runs.checkpoint import latest_checkpoint
    from mscol_cli.runs.published import publish

    checkpoint = latest_checkpoint(trained)
    assert checkpoint is not None
    folder = tmp_path / "package" / "mini"
    publish(checkpoint, folder, half=True, texts=lambda _: {"CARD.md": "# A card\n"})
    monkeypatch.setattr("mscol_cli.engine.references.BUNDLED", folder)
    return folder


@pytest.fixture(scope="module")
def draft_pictures() -> Iterator[None]:
    """Pictures of pages are coarse PNGs: drawing takes most of the time of a report."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mscol_cli.pages.pictures.VECTORS", ())
        patch.setattr("mscol_cli.pages.pictures.DOTS_PER_INCH", 36)
        yield


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A web server on this machine; retries wait for nothing."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("mscol_cli.download.fetch.PAUSES", (0.0, 0.0))
    with serving() as server:
        yield server


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """A model hub on this machine, its client with an empty cache and a token that may write."""
    from huggingface_hub import constants, file_download
    from huggingface_hub.utils import _http

    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    home = tmp_path / "hf"
    with serving_hub() as hub:
        # The client reads its environment when it is imported.
        template = hub.url + "/{repo_id}/resolve/{revision}/{filename}"
        settings = {
            "ENDPOINT": hub.url,
            "HUGGINGFACE_CO_URL_TEMPLATE": template,
            "HF_HUB_CACHE": str(home / "hub"),
            "HF_TOKEN_PATH": str(home / "token"),
            "HF_HUB_OFFLINE": False,
            "HF_HUB_DISABLE_XET": True,  # its sessions outlive a server
        }
        for name, value in settings.items():
            monkeypatch.setattr(constants, name, value)
        # Clients before 1.0 have a copy of the template, and keep sessions with their settings.
        monkeypatch.setattr(file_download, "HUGGINGFACE_CO_URL_TEMPLATE", template, raising=False)
        if cached := getattr(_http, "_get_session_from_cache", None):
            monkeypatch.setattr(_http, "_get_session_from_cache", cached.__wrapped__)
        yield hub


@pytest.fixture
def offer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Offer:
    """Make collections of files, by name, known to `mscol download`."""

    def write(**collections: Files) -> None:
        path = write_table(tmp_path / "own.toml", **collections)
        monkeypatch.setenv("MSCOL_DOWNLOADS", str(path))

    return write


def run_in(folder: Path, arguments: Sequence[object]) -> None:
    before = Path.cwd()
    os.chdir(folder)
    try:
        assert run_app([str(argument) for argument in arguments]) == 0
    finally:
        os.chdir(before)
