"""`mscol push` and `--model hf:...`, against a server that answers as the Hub does."""

import io
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import save_file

from mscol_cli.engine.models import resolve_model
from mscol_cli.host import load_registry
from tests.conftest import Command
from tests.helpers.audio import tones, write_audio
from tests.helpers.command import run_mscol
from tests.helpers.hub import TOKEN, Hub, Repository

CPU = torch.device("cpu")
NAME = "me/my-model"


Capture = pytest.CaptureFixture[str]


@pytest.fixture
def song(tmp_path: Path) -> Path:
    return write_audio(tmp_path / "song.wav", tones(1.2))


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """A copy of the trained run, to which probes may be added."""
    return Path(shutil.copytree(trained, tmp_path / "runs" / "one", symlinks=True))


@pytest.fixture
def published(mscol: Command, run: Path, hub: Hub, tmp_path: Path) -> Repository:
    """The model, as it was pushed."""
    folder = tmp_path / "published"
    dry = ["--license", "mit", "--dry-run", "-o", folder]
    assert mscol("push", run, f"hf:{NAME}", *dry) == 0
    assert not hub.requests
    return hub.add(NAME, {path.name: path.read_bytes() for path in folder.iterdir()})


def vectors(path: str) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    with np.load(path) as file:
        embeddings: np.ndarray[tuple[int, ...], np.dtype[np.float32]] = file["embeddings"]
        return embeddings


def test_a_pushed_model_embeds_as_the_run(
    mscol: Command, hub: Hub, run: Path, song: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mscol("push", run, f"hf:{NAME}", "--license", "mit", "--json") == 0
    pushed = json.loads(capsys.readouterr().out)
    repository = hub.repositories[NAME]
    commit = repository.refs["main"]
    assert pushed["repository"] == f"hf:{NAME}@{commit}"
    assert {*repository.commits[commit]} == {
        ".gitattributes",
        "README.md",
        "config.json",
        "encoder.safetensors",
    }
    assert not repository.private
    options = ["--device", "cpu", "--json"]
    assert mscol("embed", song, "--model", f"hf:{NAME}", "-o", "pulled.npz", *options) == 0
    captured = capsys.readouterr()
    assert captured.err.startswith(f"model hf:{NAME}@{commit}, step 6, hash ")
    assert json.loads(captured.out)["model"] == f"hf:{NAME}@{commit}"
    assert json.loads(captured.out)["model_hash"] == pushed["model_hash"]
    assert mscol("embed", song, "--model", run, "-o", "run.npz", *options) == 0
    np.testing.assert_array_equal(vectors("pulled.npz"), vectors("run.npz"))


@pytest.mark.slow
@pytest.mark.processes
@pytest.mark.parametrize("without_xet", ["1", "0"])
def test_the_client_is_set_by_its_environment_variables(
    hub: Hub, run: Path, song: Path, tmp_path: Path, without_xet: str
) -> None:
    environment = {
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(tmp_path / "home"),
        "HF_TOKEN": TOKEN,
        "HF_HUB_DISABLE_XET": without_xet,
        "HF_XET_XORB_COMPRESSION_POLICY": "none",
    }
    push = ["push", run, f"hf:{NAME}", "--license", "mit", "--private"]
    done = run_mscol(*push, folder=tmp_path, **environment)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count(b"\n") == 2  # the model, and the upload
    assert hub.repositories[NAME].private
    embed = ["embed", song, "--model", f"hf:{NAME}", "--device", "cpu"]
    done = run_mscol(*embed, folder=tmp_path, **environment)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count(b"\n") == 1
    assert any((tmp_path / "home" / "hub").glob("models--me--my-model/snapshots/*"))
    assert any(agent.startswith("mscol/") for agent in hub.agents)
    assert bool(hub.xet.xorbs) == (without_xet == "0")
    assert any("/v2/reconstructions/" in line for line in hub.requests) == bool(hub.xet.xorbs)


def test_only_settings_and_weights_are_downloaded(
    mscol: Command, hub: Hub, published: Repository, tmp_path: Path
) -> None:
    published.commit({"pytorch_model.bin": b"pickle", "../../evil.safetensors": b"x", "a/b": b""})
    resolve_model(f"hf:{NAME}", None, load_registry(), CPU)
    resolved = {line.rpartition("/")[2] for line in hub.requests if "resolve" in line}
    assert resolved == {"config.json", "encoder.safetensors"}
    assert not list(tmp_path.rglob("*evil*"))


def test_a_file_that_differs_from_its_hash_is_refused(
    mscol: Command, published: Repository, song: Path, tmp_path: Path, capsys: Capture
) -> None:
    embed = ["embed", song, "--model", f"hf:{NAME}", "--device", "cpu"]
    assert mscol(*embed) == 0
    for name in ("encoder.safetensors", "config.json"):
        (link,) = (tmp_path / "hf" / "hub").rglob(name)
        content = link.read_bytes()
        link.resolve().write_bytes(content + b" ")
        assert mscol(*embed) == 2
        assert f"{name} differs from its hash" in capsys.readouterr().err
        link.resolve().write_bytes(content)


def test_the_hash_is_found_where_the_client_shares_files_among_repositories(
    mscol: Command, hub: Hub, published: Repository, song: Path, tmp_path: Path, capsys: Capture
) -> None:
    embed = ["embed", song, "--model", f"hf:{NAME}", "--device", "cpu"]
    assert mscol(*embed) == 0
    (link,) = (tmp_path / "hf" / "hub").rglob("encoder.safetensors")
    blob = link.parent / link.readlink()
    shared = tmp_path / "hf" / "hub" / "blobs" / ("0" * 64)
    shared.parent.mkdir()
    blob.rename(shared)
    blob.symlink_to(shared)
    assert mscol(*embed) == 0
    shared.write_bytes(shared.read_bytes() + b" ")
    assert mscol(*embed) == 2
    assert f"differs from its hash on the Hub: delete {shared}" in capsys.readouterr().err


def test_a_revision_is_pinned(hub: Hub, published: Repository) -> None:
    first = published.refs["main"]
    config = json.loads(published.commits[first]["config.json"])
    changed = json.dumps({**config, "step": 7}).encode()
    second = published.commit({"config.json": changed})
    published.refs["v1"] = first
    registry = load_registry()
    for revision, commit, step in (("v1", first, 6), (first, first, 6), ("main", second, 7)):
        model = resolve_model(f"hf:{NAME}@{revision}", None, registry, CPU)
        assert model.name == f"hf:{NAME}@{commit}"
        assert model.step == step


def test_the_cache_serves_offline(
    mscol: Command,
    hub: Hub,
    published: Repository,
    song: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    embed = ["embed", song, "--model", f"hf:{NAME}", "--device", "cpu"]
    monkeypatch.setenv("MSCOL_OFFLINE", "1")
    assert mscol(*embed) == 4
    assert "is not in the cache, and MSCOL_OFFLINE or HF_HUB_OFFLINE" in capsys.readouterr().err
    assert not hub.requests
    monkeypatch.delenv("MSCOL_OFFLINE")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert mscol(*embed) == 4
    assert "is not in the cache, and MSCOL_OFFLINE or HF_HUB_OFFLINE" in capsys.readouterr().err
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    assert mscol(*embed) == 0
    monkeypatch.setenv("MSCOL_OFFLINE", "1")
    hub.requests.clear()
    assert mscol(*embed) == 0
    assert not hub.requests
    assert published.refs["main"] in capsys.readouterr().err


def model_files(trained: Path) -> dict[str, bytes]:
    (checkpoint,) = (trained / "checkpoints").glob("step-*")
    return {
        "config.json": (checkpoint / "run.json").read_bytes(),
        "encoder.safetensors": (checkpoint / "encoder.safetensors").read_bytes(),
    }


@pytest.mark.parametrize(
    ("reference", "code", "message"),
    [
        ("hf:me/nothing", 4, "does not exist on http://127.0.0.1"),
        ("hf:me/secret", 4, "or is private: check the name, or set HF_TOKEN"),
        ("hf:me/gated", 4, "is gated: accept its terms at http://127.0.0.1"),
        ("hf:me/good@v9", 4, "me/good has no revision 'v9'"),
        ("hf:me/pickle", 2, "lacks config.json and encoder.safetensors"),
        ("hf:me/half", 2, "lacks encoder.safetensors"),
        ("hf:me/other", 2, "hf:me/other@[0-9a-f]{40} does not hold a model of mscol"),
        ("hf:me/text", 2, "does not hold a model of mscol: .* cannot be read as JSON"),
        ("hf:me/broken", 2, "encoder.safetensors is damaged"),
        ("hf:me/misfit", 2, "do not fit: "),
        ("hf:me/strange", 2, "needs the plugin elsewhere 1"),
        ("hf:me/../good", 2, "does not name a model repository"),
    ],
)
def test_what_cannot_be_used_is_one_line(
    mscol: Command,
    hub: Hub,
    trained: Path,
    song: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    reference: str,
    code: int,
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    good = model_files(trained)
    info = json.loads(good["config.json"])
    strange = {"name": "strange", "owner": "elsewhere", "version": "1", "options": {}}
    save_file({"a": torch.zeros(1)}, tmp_path / "misfit.safetensors")
    hub.add("me/good", good)
    hub.add("me/secret", good, private=True)
    hub.add("me/gated", good, gated=True)
    hub.add("me/pickle", {"pytorch_model.bin": b"pickle"})
    hub.add("me/half", {"config.json": good["config.json"]})
    hub.add("me/other", {**good, "config.json": b'{"model_type": "bert"}'})
    hub.add("me/text", {**good, "config.json": b"text"})
    hub.add("me/broken", {**good, "encoder.safetensors": b"\xff" * 100})
    misfit = (tmp_path / "misfit.safetensors").read_bytes()
    hub.add("me/misfit", {**good, "encoder.safetensors": misfit})
    hub.add(
        "me/strange", {**good, "config.json": json.dumps({**info, "encoder": strange}).encode()}
    )
    assert mscol("embed", song, "--model", reference, "-o", "v.npz") == code
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert re.search(message, error)
    assert not Path("v.npz").exists()


def test_without_a_network_is_one_line(
    mscol: Command,
    hub: Hub,
    song: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    closed = "http://127.0.0.1:9"
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", closed)
    assert mscol("embed", song, "--model", "hf:me/good") == 4
    error = capsys.readouterr().err
    assert "hf:me/good cannot be downloaded (" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["hf:me/model"], 2, "name the licence"),
        (["hf:me/model", "--license", "My own"], 2, "cannot be a licence"),
        (["me/model", "--license", "mit"], 2, "does not name a model repository"),
        (["hf:me/model@main", "--license", "mit"], 2, "writes to the main branch"),
        (["hf:me/model", "--license", "mit", "--dry-run"], 2, "belong together"),
        (["hf:me/model", "--license", "mit", "-o", "x"], 2, "belong together"),
        (["hf:me/model", "--license", "mit", "--dry-run", "-o", "."], 2, "already contains files"),
    ],
)
def test_a_wrong_request_uploads_nothing(
    mscol: Command,
    hub: Hub,
    run: Path,
    arguments: list[str],
    code: int,
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert mscol("push", run, *arguments) == code
    assert message in capsys.readouterr().err
    assert not hub.requests


def test_a_missing_run_is_named(
    mscol: Command, hub: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mscol("push", "nowhere", "hf:me/model", "--license", "mit") == 4
    error = capsys.readouterr().err
    assert "nowhere is not a model: give a run folder" in error
    assert "mini" not in error
    assert not hub.requests


def test_an_upload_needs_a_token(
    mscol: Command,
    hub: Hub,
    run: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    push = ["push", run, "hf:me/model", "--license", "mit"]
    monkeypatch.delenv("HF_TOKEN")
    assert mscol(*push) == 2
    assert "set HF_TOKEN" in capsys.readouterr().err
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("MSCOL_OFFLINE", "1")
    assert mscol(*push) == 2
    assert "MSCOL_OFFLINE forbids uploads" in capsys.readouterr().err
    assert not hub.requests
    monkeypatch.delenv("MSCOL_OFFLINE")
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    assert mscol(*push) == 1
    error = capsys.readouterr().err
    assert "hf:me/model cannot be uploaded (" in error
    assert "401" in error
    assert "hf_wrong" not in error


def test_a_refused_commit_is_one_line_and_leaves_nothing(
    mscol: Command, hub: Hub, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.refusal = 403
    before = sorted(tmp_path.rglob("*"))
    assert mscol("push", run, "hf:me/model", "--license", "mit") == 1
    error = capsys.readouterr().err.splitlines()
    assert error[-1].startswith("error: hf:me/model cannot be uploaded (403 Forbidden")
    assert len(error) == 3
    assert sorted(path for path in tmp_path.rglob("*") if "hf" not in path.parts) == before


def test_private_weights_are_not_uploaded_to_a_public_repository(
    mscol: Command, hub: Hub, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    public = hub.add("me/model", {})
    assert mscol("push", run, "hf:me/model", "--license", "mit", "--private") == 2
    assert "hf:me/model exists and is public" in capsys.readouterr().err
    assert len(public.commits) == 1


def add_probe(run: Path, name: str, **changes: object) -> None:
    score = {"value": 0.75, "low": 0.7, "high": 0.8, "std_over_seeds": 0.0, "per_seed": [0.75]}
    (checkpoint,) = (run / "checkpoints").glob("step-*")
    content = {
        "task": name,
        "data": "/home/me/data/fma",
        "options": {},
        "protocol": {"finetune": False},
        "recipe": "",
        "model": "one@6",
        "model_hash": digest_of(checkpoint),
        "model_step": 6,
        "seeds": 5,
        "test_sets": [{"name": "test", "clips": 40, "metrics": {"accuracy": score}}],
        "counts": {},
        "windows": {},
        "classes": [],
        **changes,
    }
    path = run / "probes" / name / "probe.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(content))


def digest_of(checkpoint: Path) -> str:
    from mscol_cli.runs.checkpoint import weights_hash

    return weights_hash(checkpoint)


def test_the_card_states_scores_data_and_licence_without_paths(
    mscol: Command, run: Path, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_probe(run, "fma")
    add_probe(run, "mtat", model_hash="of other weights")
    add_probe(run, "nsynth", test_sets="nonsense")
    dry = ["--license", "cc-by-4.0", "--dry-run", "-o", "out"]
    assert mscol("push", run, f"hf:{NAME}", *dry) == 0
    error = capsys.readouterr().err
    assert "of other weights: " in error
    assert "nsynth/probe.json is damaged" in error
    card = Path("out/README.md").read_text()
    _, front, body = card.split("---\n", 2)
    matter = yaml.safe_load(front)
    assert matter["license"] == "cc-by-4.0"
    assert matter["library_name"] == "mscol"
    (result,) = matter["model-index"][0]["results"]
    assert result["metrics"][0]["value"] == 0.75
    assert "| fma | test (40 clips) | accuracy | 0.7500 | 0.7000 to 0.8000 | frozen | 5 |" in body
    assert 'model = mscol.load("hf:me/my-model")' in body
    assert "| tracks | 8 |" in body
    assert "timm" not in body
    for path in ("/home", str(store.parent), str(run.parent)):
        assert path not in card
        assert path not in Path("out/config.json").read_text()


def test_the_card_tells_settings_and_methods_apart(mscol: Command, run: Path) -> None:
    def test_sets(value: float) -> list[object]:
        score = {"value": value, "low": 0.2, "high": 0.9, "std_over_seeds": 0.0, "per_seed": []}
        return [{"name": "test", "clips": 7, "metrics": {"accuracy": score}}]

    add_probe(run, "nsynth", test_sets=test_sets(0.8))
    add_probe(run, "nsynth-hidden=8", task="nsynth", test_sets=test_sets(0.3))
    add_probe(run, "nsynth-labels=0.1", task="nsynth", test_sets=test_sets(0.8))
    add_probe(run, "stems", seeds=0, test_sets=test_sets(0.4))
    dry = ["--license", "mit", "--dry-run", "-o", "out"]
    assert mscol("push", run, f"hf:{NAME}", *dry) == 0
    _, front, body = Path("out/README.md").read_text().split("---\n", 2)
    results = yaml.safe_load(front)["model-index"][0]["results"]
    names = {result["dataset"]["name"]: result["metrics"][0]["name"] for result in results}
    assert names == {
        "stems, test": "accuracy (retrieval of stems by the similarity of vectors)",
        "nsynth, test": "accuracy (shallow classifier on the frozen encoder)",
        "nsynth-hidden=8, test": "accuracy (shallow classifier on the frozen encoder)",
    }
    assert "| nsynth-hidden=8 | test (7 clips) | accuracy | 0.3000 " in body
    assert "without labels or classifiers" in body


def edit(run: Path, **changes: object) -> None:
    """Change the settings of the run's checkpoint; None deletes one."""
    (path,) = (run / "checkpoints").glob("step-*/run.json")
    info = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({name: value for name, value in info.items() if value is not None}))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"store": {"path": "/gone.store", "hash": "0a1b"}}, "| store hash | 0a1b |"),
        ({"store": None, "training": None}, "is unknown to mscol"),
        (
            {"store": None, "imported": {"sources": {"checkpoint-10.index": "0a1b"}}},
            "| imported.sources.checkpoint-10.index | 0a1b |",
        ),
    ],
)
def test_the_card_says_what_is_known_of_the_data(
    mscol: Command, run: Path, changes: dict[str, object], sentence: str
) -> None:
    edit(run, **changes)
    assert mscol("push", run, f"hf:{NAME}", "--license", "mit", "--dry-run", "-o", "out") == 0
    card = Path("out/README.md").read_text()
    assert sentence in card
    assert "gone.store" not in card


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_asks_for_the_licence(
    mscol: Command, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal("apache-2.0\n"))
    assert mscol("push", run, f"hf:{NAME}", "--dry-run", "-o", "out") == 0
    assert "\nlicense: apache-2.0\n" in Path("out/README.md").read_text()


def test_a_pushed_folder_is_a_checkpoint_folder(mscol: Command, run: Path, song: Path) -> None:
    assert mscol("push", run, f"hf:{NAME}", "--license", "mit", "--dry-run", "-o", "out") == 0
    assert mscol("embed", song, "--model", "out", "--device", "cpu") == 0


@pytest.mark.slow
def test_the_code_for_timm_gives_the_vectors_of_mscol(
    mscol: Command, hub: Hub, tmp_path: Path
) -> None:
    from mscol_cli.engine.models import build_encoder
    from mscol_cli.host import find_part
    from mscol_cli.runs.checkpoint import save_model

    part = find_part(load_registry(), "encoder", "efficientnet_b0")
    encoder = build_encoder(part, seed=0).eval()
    named = {"name": part.name, "owner": "mscol", "version": "0", "options": {}}
    info = {"encoder": named, "objective": {"name": "msa", "parts": []}}
    save_model(tmp_path / "model", 0, info, {"encoder": encoder.state_dict()})
    assert mscol("push", tmp_path / "model", f"hf:{NAME}", "--license", "mit") == 0
    repository = hub.repositories[NAME]
    card = repository.commits[repository.refs["main"]]["README.md"].decode()
    (code,) = re.findall(r"```python\n(import timm.*?)```", card, re.DOTALL)
    scope: dict[str, object] = {}
    exec(code, scope)
    log_mel = encoder.frontend(torch.from_numpy(tones(1.0))[:, : encoder.crop_samples])
    with torch.no_grad():
        scope["log_mel"] = log_mel
        exec(code.splitlines()[-1].removeprefix("# "), scope)
        expected = encoder(log_mel)
    torch.testing.assert_close(scope["vectors"], expected, rtol=1e-4, atol=1e-5)
