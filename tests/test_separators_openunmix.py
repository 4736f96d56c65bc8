"""`openunmix`: the package's own output, with weights that are found, checked and named."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import openunmix.utils
import pytest
import torch

from mscol_cli.api import MissingDataError, SeparatorContext, UsageError
from mscol_separators.open_unmix import OpenUnmixSeparator
from mscol_separators.plugin import OpenUnmixOptions
from mscol_separators.weights import PUBLISHED, Weight, fetch
from tests.helpers_audio import tones
from tests.helpers_openunmix import write_model

TARGETS = ("vocals", "drums")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("models") / "tiny", TARGETS)


def build(model: Path | str | None, **options: object) -> OpenUnmixSeparator:
    chosen = OpenUnmixOptions(**{"targets": TARGETS, **options})  # type: ignore[arg-type]
    return OpenUnmixSeparator(chosen, SeparatorContext(model=None if model is None else str(model)))


@pytest.mark.parametrize(("channels", "niter"), [(1, 1), (2, 0), (2, 1), (2, 2)])
def test_stems_are_those_of_the_package(folder: Path, channels: int, niter: int) -> None:
    mixture = torch.from_numpy(tones(2.0, 44100, channels))
    stems = build(folder, niter=niter).separate({"mixture": mixture})
    theirs = openunmix.utils.load_separator(str(folder), list(TARGETS), niter=niter)
    theirs.freeze()
    audio = openunmix.utils.preprocess(mixture, 44100, 44100)
    with torch.no_grad():
        expected = theirs.to_dict(theirs(audio))
    assert torch.equal(stems["mixture"], mixture)
    for name in TARGETS:
        torch.testing.assert_close(stems[name], expected[name][0], atol=1e-6, rtol=1e-5)


def test_six_channels_are_heard_as_their_mean(folder: Path) -> None:
    six = torch.from_numpy(tones(1.0, 44100, 6))
    separator = build(folder, niter=0)
    mono = separator.separate({"mixture": six.mean(dim=0, keepdim=True)})
    assert torch.equal(separator.separate({"mixture": six})["vocals"], mono["vocals"])


def test_a_one_channel_network_of_other_frames_works(tmp_path: Path) -> None:
    model = write_model(tmp_path, TARGETS, n_fft=1024, n_hop=512, channels=1)
    stems = build(model).separate({"mixture": torch.from_numpy(tones(1.0, 44100, 2))})
    assert stems["drums"].shape == (1, 44100)


def test_the_passport_names_weights_by_hash(folder: Path) -> None:
    passport = build(folder).passport
    assert passport["model"] == "folder tiny"
    assert len(passport["vocals sha256"]) == 64
    assert passport["network"].startswith("openunmix ")


def test_what_cannot_be_asked_for_is_said(folder: Path) -> None:
    with pytest.raises(UsageError, match="no Open-Unmix model 'umxxl': use umxl, umxhq"):
        build("umxxl")
    with pytest.raises(UsageError, match="has no target 'guitar'"):
        build("umxl", targets=("guitar", "bass"))
    with pytest.raises(UsageError, match="niter=0"):
        build(folder, targets=("vocals",))
    with pytest.raises(MissingDataError, match=r"guitar\.json is missing"):
        build(folder, targets=("vocals", "guitar"))


def test_damaged_weights_are_named(tmp_path: Path) -> None:
    model = write_model(tmp_path, TARGETS)
    mixture = {"mixture": torch.from_numpy(tones(1.0, 44100))}
    state = torch.load(model / "drums.pth", weights_only=True)
    del state["fc1.weight"]
    torch.save(state, model / "drums.pth")
    with pytest.raises(MissingDataError, match=r"drums\.pth lacks weights: fc1\.weight"):
        build(model).separate(mixture)
    (model / "drums.pth").write_bytes(b"garbage")
    with pytest.raises(MissingDataError, match=r"drums\.pth holds no weights"):
        build(model).separate(mixture)


def test_a_pickle_that_runs_code_is_refused(tmp_path: Path) -> None:
    model = write_model(tmp_path, TARGETS)
    torch.save({"input_mean": Path("/")}, model / "vocals.pth")
    with pytest.raises(MissingDataError, match=r"vocals\.pth holds no weights"):
        build(model).separate({"mixture": torch.from_numpy(tones(1.0, 44100))})


def test_published_weights_carry_their_hash() -> None:
    weights = [weight for model in PUBLISHED.values() for weight in model.weights.values()]
    assert len(weights) == 8
    assert all(len(bytes.fromhex(weight.hash_prefix)) == 4 for weight in weights)


@pytest.fixture
def server() -> Iterator[str]:
    """Serves eleven bytes at every address but `/gone/`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(404 if self.path.startswith("/gone/") else 200)
            self.end_headers()
            self.wfile.write(b"hello world")

        def log_message(self, format: str, *args: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


def test_a_download_is_kept_if_its_hash_fits(server: str, tmp_path: Path) -> None:
    weight = Weight(f"{server}/vocals-b94d27b9.pth")
    path = fetch(weight, tmp_path / "cache")
    assert path.read_bytes() == b"hello world"
    assert fetch(Weight("http://127.0.0.1:9/vocals-b94d27b9.pth"), tmp_path / "cache") == path


def test_a_wrong_download_is_refused_and_not_kept(server: str, tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match="gave another file than was published"):
        fetch(Weight(f"{server}/vocals-00000000.pth"), tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("address", ["{server}/gone", "http://127.0.0.1:9"])
def test_without_a_download_the_user_is_told_what_to_put_where(
    server: str, tmp_path: Path, address: str
) -> None:
    weight = Weight(address.format(server=server) + "/vocals-b94d27b9.pth")
    with pytest.raises(MissingDataError) as caught:
        fetch(weight, tmp_path)
    line = str(caught.value)
    assert weight.url in line
    assert str(tmp_path / "vocals-b94d27b9.pth") in line
    assert "\n" not in line


def test_a_corrupt_cached_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "vocals-b94d27b9.pth").write_bytes(b"hello")
    with pytest.raises(MissingDataError, match=r"vocals-b94d27b9\.pth is damaged"):
        fetch(Weight("http://127.0.0.1:9/vocals-b94d27b9.pth"), tmp_path)
