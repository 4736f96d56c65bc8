"""`import`: a published checkpoint to a model folder, whole or not at all."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from mscol_cli.api import ImportedModel, ImportedPart, Importer, ImporterCard
from mscol_cli.engine.models import build_encoder, build_objective, load_model
from mscol_cli.host import Entry, Part, Registry, find_objective, find_part, load_registry
from mscol_cli.host.building import build_part
from mscol_cli.host.checks.importer import claims_checkpoint
from mscol_cli.importing import workflow
from tests.conftest import Command, run_in
from tests.helpers.audio import tones, write_audio
from tests.helpers.messages import mentions
from tests.helpers.tensorflow import (
    NETWORK,
    VALUE,
    Layout,
    published_variables,
    write_checkpoint,
    write_state,
)

STEP = 640_000
DATA = "checkpoint-10.data-00000-of-00001"
KERNEL = f"{NETWORK}-1/kernel"
Variables = dict[str, Any]


@dataclass(frozen=True)
class Published:
    """A model with random weights and statistics, and the checkpoint its authors would save."""

    encoder: torch.nn.Module
    objective: torch.nn.Module
    variables: Variables


@pytest.fixture(scope="module")
def published() -> Published:
    registry = load_registry()
    encoder = build_encoder(find_part(registry, "encoder", "efficientnet_b0"), seed=1)
    objective = build_objective(find_objective(registry, "msa"), encoder, seed=1)
    generator = torch.manual_seed(2)
    for module in (encoder, objective):
        for tensor in module.state_dict().values():
            if tensor.dim() == 1:
                # Vectors start as zeros and ones: two that were swapped would not show.
                tensor.uniform_(0.5, 1.5, generator=generator)
    return Published(encoder, objective, published_variables(encoder, objective, STEP))


@pytest.fixture(scope="module")
def intact(published: Published, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `.index` file of a checkpoint that no test changes."""
    folder = tmp_path_factory.mktemp("published") / "tf"
    return write_checkpoint(folder / "checkpoint-10", published.variables)


@pytest.fixture
def checkpoint(intact: Path, tmp_path: Path) -> Path:
    """The `.index` file of a copy of the checkpoint."""
    return Path(shutil.copytree(intact.parent, tmp_path / "tf"), intact.name)


@pytest.fixture(scope="module")
def imported(intact: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The imported checkpoint, and what was printed on stdout."""
    folder = tmp_path_factory.mktemp("imported")
    with redirect_stdout(io.StringIO()) as printed:
        run_in(folder, ["import", intact, "-o", "msa", "--opt", "stems=bass,drums"])
    return folder / "msa", printed.getvalue()


@pytest.mark.slow
def test_every_weight_arrives(
    published: Published, checkpoint: Path, mscol: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mscol("import", checkpoint, "-o", "models/msa", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["model"], result["step"], result["mapped"]) == ("models/msa", STEP, 314)
    for stem, module in (("encoder", published.encoder), ("objective", published.objective)):
        written = load_file(Path("models/msa") / f"{stem}.safetensors")
        assert written.keys() == module.state_dict().keys()
        for name, tensor in module.state_dict().items():
            assert torch.equal(written[name], tensor), name
    assert {path.name for path in Path("models").iterdir()} == {"msa"}


def test_the_run_json_says_where_it_comes_from(
    published: Published, imported: tuple[Path, str]
) -> None:
    info = json.loads((imported[0] / "run.json").read_text())
    assert (info["format"], info["version"], info["step"]) == ("mscol-run", 1, STEP)
    assert (info["encoder"]["name"], info["objective"]["name"]) == ("efficientnet_b0", "msa")
    assert info["encoder"]["options"] == {"level": "norm", "drop_path": 0.2}
    assert info["objective"]["parts"][0]["options"]["stems"] == ["bass", "drums"]
    origin = info["imported"]
    assert origin["importer"]["name"] == "tensorflow"
    assert origin["importer"]["owner"] == "mscol"
    assert origin["sources"].keys() == {"checkpoint-10.index", DATA}
    assert all(len(bytes.fromhex(digest)) == 32 for digest in origin["sources"].values())
    left_out = origin["left_out"]
    assert left_out["optimizer slots"] > 100
    assert origin["mapped"] + sum(left_out.values()) == len(published.variables)


def test_runs_lists_an_imported_model_with_its_step(
    imported: tuple[Path, str], mscol: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mscol("runs", "ls", imported[0].parent) == 0
    assert mentions(capsys.readouterr().out, "msa", "imported", " 640,000 ")
    assert mscol("runs", "show", imported[0]) == 0
    assert mentions(capsys.readouterr().out, "imported, step 640,000\n")


def test_what_was_written_is_said_on_stdout(imported: tuple[Path, str]) -> None:
    first, second = imported[1].splitlines()
    assert mentions(first, "msa: ", "efficientnet_b0", "objective msa", f"step {STEP}")
    assert second.startswith("314 variables")
    assert "3 identity normalisation" in second


@pytest.mark.slow
@pytest.mark.parametrize("form", ["checkpoint-10", DATA, ".", "state", "moved"])
def test_a_checkpoint_has_several_names(checkpoint: Path, mscol: Command, form: str) -> None:
    folder = checkpoint.parent
    names = {"state": "checkpoint-10", "moved": "/home/them/models/checkpoint-10"}
    if form in names:
        write_checkpoint(folder / "checkpoint-11", {"other": np.zeros(1, np.float32)})
        write_state(folder, names[form])
    given = folder if form in (".", *names) else folder / form
    assert mscol("import", given, "-o", "msa") == 0
    imported = json.loads(Path("msa/run.json").read_text())["imported"]
    assert imported["sources"].keys() == {"checkpoint-10.index", DATA}


@pytest.mark.slow
def test_an_imported_model_is_used_as_a_run_is(
    published: Published,
    checkpoint: Path,
    mscol: Command,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # A folder of this name holds runs' checkpoints elsewhere.
    assert mscol("import", checkpoint, "-o", "checkpoints/msa") == 0
    model = load_model(Path("checkpoints/msa"), load_registry(), torch.device("cpu"))
    assert (model.name, model.step) == (f"msa@{STEP}", STEP)
    assert model.run == Path("checkpoints/msa")
    write_audio(tmp_path / "a.wav", tones(1.2))
    capsys.readouterr()
    assert mscol("embed", "a.wav", "--model", "checkpoints/msa", "--json") == 0
    assert json.loads(capsys.readouterr().out)["model"] == f"msa@{STEP}"


@pytest.mark.slow
def test_the_encoder_of_an_imported_model_can_be_compared_with_itself_untrained(
    checkpoint: Path, mscol: Command, tmp_path: Path
) -> None:
    assert mscol("import", checkpoint, "-o", "msa") == 0
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "latest").symlink_to(tmp_path / "msa")
    write_audio(tmp_path / "a.wav", tones(1.2))
    assert mscol("embed", "a.wav", "--model", "untrained", "-o", "untrained.npz") == 0
    assert mscol("embed", "a.wav", "--model", "msa", "-o", "msa.npz") == 0
    untrained, imported = (np.load(name)["embeddings"] for name in ("untrained.npz", "msa.npz"))
    assert untrained.shape == imported.shape
    assert not np.allclose(untrained, imported)


def test_an_imported_model_is_no_run_to_resume(
    imported: tuple[Path, str], mscol: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mscol("pretrain", "--resume", "-o", imported[0]) == 2
    assert "msa was imported" in capsys.readouterr().err


@pytest.mark.slow
def test_without_the_optimiser_the_step_is_0(
    published: Published, mscol: Command, tmp_path: Path
) -> None:
    kept = {name: value for name, value in published.variables.items() if "ptimizer" not in name}
    write_checkpoint(tmp_path / "tf" / "weights", kept)
    assert mscol("import", "tf", "-o", "msa") == 0
    assert json.loads(Path("msa/run.json").read_text())["step"] == 0


def _flip(name: str, position: int) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        content = bytearray((folder / name).read_bytes())
        content[position] ^= 1
        (folder / name).write_bytes(content)

    return damage


def _cut(name: str, length: int) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        (folder / name).write_bytes((folder / name).read_bytes()[:length])

    return damage


def _two(folder: Path) -> None:
    write_checkpoint(folder / "checkpoint-9", {})


DAMAGE: dict[str, tuple[Callable[[Path], object], int, str]] = {
    "a byte of a block": (_flip("checkpoint-10.index", 700), 1, "block at byte 0"),
    "a byte of a tensor": (_flip(DATA, 1 << 20), 1, "checksum of "),
    "a cut index": (_cut("checkpoint-10.index", 9000), 1, "truncated"),
    "a cut data file": (_cut(DATA, 9_000_000), 1, "(9,000,000 of "),
    "no data file": (lambda folder: (folder / DATA).unlink(), 4, DATA),
    "wrong magic": (_flip("checkpoint-10.index", -1), 1, "another kind of file"),
    "two checkpoints": (_two, 2, "checkpoint-10.index, checkpoint-9.index"),
    "a state that names none": (lambda folder: write_state(folder, "../.."), 1, "does not name"),
    "a state that names another": (lambda folder: write_state(folder, "/x/c-1"), 4, "tf/c-1.index"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_checkpoint_is_refused_and_nothing_is_left(
    checkpoint: Path,
    mscol: Command,
    tmp_path: Path,
    kind: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    damage, code, message = DAMAGE[kind]
    damage(checkpoint.parent)
    _refused(mscol, tmp_path, code, message, capsys)


def _changed(**changes: Any) -> Callable[[Variables], Variables]:
    return lambda variables: {**variables, **changes}


def _without(*names: str) -> Callable[[Variables], Variables]:
    return lambda variables: {key: variables[key] for key in variables if key not in names}


OTHER: dict[str, tuple[Callable[[Variables], Variables], str]] = {
    "extra": (
        _changed(**{f"classifier/kernel{VALUE}": np.zeros(2, np.float32)}),
        "1 of its variables do not fit: classifier/kernel is unknown",
    ),
    "missing": (_without(KERNEL + VALUE), KERNEL),
    "shape": (
        _changed(**{KERNEL + VALUE: np.zeros((3, 3, 3, 32), np.float32)}),
        f"{KERNEL} is float32 [3, 3, 3, 32], not float32 [3, 3, 1, 32]",
    ),
    "dtype": (
        _changed(**{KERNEL + VALUE: np.zeros((3, 3, 1, 32))}),
        f"{KERNEL} is float64 [3, 3, 1, 32], not float32",
    ),
    "iterations": (
        _changed(**{f"optimizer/iter{VALUE}": np.zeros(1, np.float32)}),
        "optimizer/iter is float32 [1]",
    ),
    "fitted normalisation": (
        _changed(**{f"{NETWORK}-0/mean{VALUE}": np.full(1, 3.5, np.float32)}),
        f"{NETWORK}-0 was fitted (mean 3.5, variance 1)",
    ),
    "not a number": (
        _changed(**{f"{NETWORK}-2/gamma{VALUE}": np.full(32, np.nan, np.float32)}),
        "network.bn1.weight",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", OTHER)
def test_another_network_is_refused_and_nothing_is_left(
    published: Published,
    mscol: Command,
    tmp_path: Path,
    kind: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    change, message = OTHER[kind]
    write_checkpoint(tmp_path / "tf" / "checkpoint-10", change(published.variables))
    _refused(mscol, tmp_path, 1, message, capsys)


def test_all_variables_that_do_not_fit_are_named_at_once(
    published: Published, mscol: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    variables = _without(f"{NETWORK}-9/kernel{VALUE}", f"{NETWORK}-0/count{VALUE}")(
        OTHER["shape"][0](OTHER["extra"][0](published.variables))
    )
    index = write_checkpoint(tmp_path / "tf" / "checkpoint-10", variables)
    index.with_name(DATA).unlink()
    assert mscol("import", "tf", "-o", "msa") == 1
    error = capsys.readouterr().err
    for part in (
        "4 of its variables do not fit",
        f"{NETWORK}-9/kernel",
        f"{NETWORK}-0/count",
        f"{KERNEL} is float32 [3, 3, 3, 32]",
        "classifier/kernel",
    ):
        assert part in error
    assert error.count("\n") == 1


def test_a_compressed_index_is_refused(
    published: Published, mscol: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    layout = Layout(compression=1)
    write_checkpoint(tmp_path / "tf" / "checkpoint-10", published.variables, layout)
    _refused(mscol, tmp_path, 1, "compressed (snappy)", capsys)


def _refused(
    mscol: Command,
    tmp_path: Path,
    code: int,
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert mscol("import", "tf", "-o", "models/msa") == code
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert captured.out == ""
    assert [path.name for path in tmp_path.iterdir()] == ["tf"]


def test_a_used_output_is_refused_and_kept(
    checkpoint: Path, mscol: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "msa").mkdir()
    (tmp_path / "msa" / "mine.txt").write_text("mine")
    assert mscol("import", checkpoint, "-o", "msa") == 2
    assert mscol("import", checkpoint, "-o", "msa/mine.txt") == 2
    assert "msa " in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "msa").iterdir()] == ["mine.txt"]


def test_an_empty_output_folder_is_filled(checkpoint: Path, mscol: Command, tmp_path: Path) -> None:
    (tmp_path / "msa").mkdir()
    assert mscol("import", checkpoint, "-o", "msa") == 0
    assert (tmp_path / "msa" / "run.json").is_file()


def test_an_output_that_cannot_be_written_is_one_line(
    checkpoint: Path, mscol: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert mscol("import", checkpoint, "-o", "file/msa") == 1
    assert "file/msa" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["nowhere", "-o", "msa"], 4, "nowhere"),
        (["song.wav", "-o", "msa"], 2, "tensorflow"),
        (["song.wav", "-o", "msa", "--format", "tensorflow"], 4, "song.wav.index"),
        (["song.wav", "-o", "msa", "--format", "tensorfow"], 2, "'tensorflow'"),
        (["song.index", "-o", "msa"], 1, "another kind of file"),
        (["tf", "-o", "msa", "--opt", "stem=a"], 2, "'stems'"),
        (["song.wav"], 2, "Missing option '-o'"),
    ],
)
def test_a_mistake_gets_one_line_and_its_exit_code(
    mscol: Command,
    tmp_path: Path,
    arguments: list[str],
    code: int,
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_checkpoint(tmp_path / "tf" / "a", {})
    for name in ("song.wav", "song.index"):
        (tmp_path / name).write_bytes(b"RIFF" * 100)
    assert mscol("import", *arguments) == code
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert not (tmp_path / "msa").exists()


class Stranger(Importer):
    """An importer of a plugin, which gives the small encoder one weight of the wrong name."""

    def claims(self, path: Path) -> bool:
        return path.suffix == ".index"

    def read(self, path: Path) -> ImportedModel:
        part = ImportedPart("small", {}, {"weights": torch.zeros(1)})
        return ImportedModel(part, ImportedPart("msa", {}, {}), 7, (), 1)


@pytest.fixture
def stranger(monkeypatch: pytest.MonkeyPatch) -> None:
    card = ImporterCard("stranger", "another format", lambda _: Stranger())
    entries = [*load_registry().entries, Entry("importer", card, "their-plugin", "1.0")]
    monkeypatch.setattr(workflow, "load_registry", lambda: Registry(entries))


@pytest.mark.usefixtures("stranger")
def test_two_importers_of_one_file_are_told_apart_by_format(
    mscol: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_checkpoint(tmp_path / "a", {})
    assert mscol("import", "a.index", "-o", "msa") == 2
    assert mentions(capsys.readouterr().err, "stranger", "tensorflow", "--format")


@pytest.mark.usefixtures("stranger")
def test_weights_that_do_not_fit_the_named_encoder_are_refused(
    mscol: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mscol("import", "a", "-o", "msa", "--format", "stranger") == 1
    line = capsys.readouterr().err
    assert line.startswith("error: importer 'stranger' (their-plugin 1.0): a: ")
    part = find_part(load_registry(), "encoder", "small")
    parameters = build_encoder(part, 0).named_parameters()
    missing = [f"{name} of small is missing" for name, _ in parameters]
    assert mentions(
        line, "do not fit", "weights of small is unknown", *missing, "of msa is missing"
    )
    assert not (tmp_path / "msa").exists()


@pytest.mark.parametrize("entry", load_registry().of_kind("importer"), ids=lambda e: e.card.name)
def test_no_importer_claims_what_is_not_there_or_empty(entry: Entry, tmp_path: Path) -> None:
    importer = build_part(Part(entry, entry.card.options()), Importer)
    assert not claims_checkpoint(importer, tmp_path / "nothing")
    assert not claims_checkpoint(importer, tmp_path)
