"""`openunmix`: the package's own output, with weights that are found, checked and named."""

from __future__ import annotations

import hashlib
from pathlib import Path

import openunmix.utils
import pytest
import torch

from mscol_cli.api import MissingDataError, SeparatorContext, UsageError
from mscol_separators.open_unmix import OpenUnmixSeparator
from mscol_separators.plugin import OpenUnmixOptions
from tests.conftest import Command, Offer
from tests.helpers_audio import tones
from tests.helpers_downloads import Server, contents, remote
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


@pytest.fixture
def cache(
    server: Server, offer: Offer, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """torch.hub's folder, empty, and a table whose `umxl` is the tiny model on the server."""
    files = []
    for target in TARGETS:
        content = (folder / f"{target}.pth").read_bytes()
        digits = hashlib.sha256(content).hexdigest()[:8]
        name, known = f"{target}-{digits}.pth", f"sha256-prefix:{digits}"
        files.append(remote(server, name, content, hash=known, size=None))
    offer(umxl=files)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path / "torch" / "hub" / "checkpoints"


def test_weights_are_downloaded_checked_and_named_in_the_passport(
    server: Server, cache: Path, folder: Path
) -> None:
    passport = build(None).passport
    names = [path.removeprefix("/") for path, _ in server.requests]
    assert [name.partition("-")[0] for name in names] == list(TARGETS)
    assert set(contents(cache)) == set(names)
    assert passport["licence"] == "licence of umxl"
    for target in TARGETS:
        content = (folder / f"{target}.pth").read_bytes()
        assert passport[f"{target} sha256"] == hashlib.sha256(content).hexdigest()
    assert build("umxl").passport == passport
    assert len(server.requests) == 2


def test_weights_that_were_downloaded_before_are_found(
    mscol: Command, server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirrored = {f"/umxl{path}": content for path, content in server.files.items()}
    server.files = mirrored
    monkeypatch.setenv("MSCOL_MIRROR", server.url)
    assert mscol("download", "umxl") == 0
    assert {f"/umxl/{name}" for name in contents(cache)} == set(mirrored)
    server.requests.clear()
    assert build("umxl").passport["model"] == "umxl"
    assert server.requests == []


def test_a_wrong_download_is_refused_and_not_kept(server: Server, cache: Path) -> None:
    server.files = dict.fromkeys(server.files, b"hello world")
    with pytest.raises(MissingDataError, match="gave another file than was published"):
        build("umxl")
    assert contents(cache) == {}


def test_without_a_download_the_user_is_told_what_to_put_where(server: Server, cache: Path) -> None:
    path = next(iter(server.files))
    server.files = {}
    with pytest.raises(MissingDataError) as caught:
        build("umxl")
    line = str(caught.value)
    assert f"{server.url}{path} answers 404" in line
    assert f"download it yourself and put it at {cache}{path}" in line
    assert "\n" not in line


def test_a_corrupt_cached_file_is_named(server: Server, cache: Path) -> None:
    cache.mkdir(parents=True)
    name = next(iter(server.files)).removeprefix("/")
    (cache / name).write_bytes(b"hello")
    with pytest.raises(MissingDataError, match=f"{name} is damaged .* delete it and run again"):
        build("umxl")
