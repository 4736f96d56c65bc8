"""Recipes: files that set options, overridden by the command line, printed, stored, refused."""

import json
import sys
from pathlib import Path

import pytest

from mscol_cli import recipes
from mscol_cli.recipes.recipe import bundled_recipes
from mscol_cli.store import Store
from mscol_cli.synthetic import Collection
from tests.conftest import Command
from tests.helpers.audio import tones, write_audio

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DRY = ["pretrain", "--dry-run"]
FOLDER = Path(recipes.__file__).parent


@pytest.mark.parametrize("recipe", bundled_recipes(), ids=lambda recipe: recipe.name)
def test_every_bundled_recipe_resolves(
    recipe: object, mscol: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    name = getattr(recipe, "name", "")
    write_audio(Path("music/a.wav"), tones(1.0))
    assert mscol(*DRY, "--recipe", name) == 0
    resolved = tomllib.loads(capsys.readouterr().out)["pretrain"]
    fixed = tomllib.loads((FOLDER / f"{name}.toml").read_text())["pretrain"]
    assert fixed.items() <= resolved.items()
    assert mscol("separate", "music", "--recipe", name, "--dry-run") == 0
    for section in ("mtat", "nsynth", "fma"):
        assert mscol("probe", section, "--recipe", name, "--dry-run") == 0


def test_smc23_is_the_published_setting(mscol: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert mscol(*DRY, "--recipe", "smc23") == 0
    resolved = tomllib.loads(capsys.readouterr().out)
    pretrain, msa = resolved["pretrain"], resolved["objectives"]["msa"]
    assert pretrain["steps"] * pretrain["batch_size"] == 81_920_000
    assert (pretrain["lr"], pretrain["schedule"]) == (0.001, "halved")
    assert (msa["silent_share"], msa["silence_windows"]) == (0.5, "drifting")
    assert mscol(*DRY, "--recipe", "smc23", "--objective", "mws") == 0
    assert tomllib.loads(capsys.readouterr().out)["objectives"]["mws"]["leak"] is True


def test_the_command_line_overrides_the_recipe_and_the_recipe_the_defaults(
    mscol: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.toml").write_text(
        '[pretrain]\nobjective = "msa"\nsteps = 7\nlr = 1\n[objectives.msa]\nsilent-share = 0.25\n'
    )
    options = ["--steps", 9, "--opt", "silence_threshold=0.5"]
    assert mscol(*DRY, "--recipe", "mine.toml", *options) == 0
    resolved = tomllib.loads(capsys.readouterr().out)
    assert resolved["pretrain"]["steps"] == 9
    assert resolved["pretrain"]["lr"] == 1.0
    assert resolved["pretrain"]["batch_size"] == 128
    assert resolved["objectives"]["msa"]["silent_share"] == 0.25
    assert resolved["objectives"]["msa"]["silence_threshold"] == 0.5


def test_a_dry_run_makes_nothing_and_what_it_prints_is_the_recipe_a_run_stores(
    mscol: Command, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = ["--encoder", "small", "--steps", 1, "--batch-size", 4]
    options = ["--recipe", "smc23", "--train-split", "all", *small]
    assert mscol(*DRY, store, *options) == 0
    printed = capsys.readouterr().out
    assert not (tmp_path / "runs").exists()
    (tmp_path / "again.toml").write_text(printed)
    run = ["pretrain", store, "--recipe", "again.toml", "--device", "cpu", "-o", "run"]
    assert mscol(*run) == 0
    assert (tmp_path / "run" / "recipe.toml").read_text() == printed
    assert json.loads((tmp_path / "run" / "run.json").read_text())["recipe"] == "again.toml"
    assert mscol("pretrain", "--resume", "-o", "run", "--recipe", "smc23") == 2
    refused = capsys.readouterr().err
    assert "encoder small -> efficientnet_b0; train_split all -> mtat; batch_size 4" in refused


def test_recipes_are_listed_and_shown(mscol: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert mscol("recipes") == 0
    assert "smc23" in capsys.readouterr().out
    assert mscol("recipes", "--json") == 0
    assert "smc23" in {row["name"] for row in json.loads(capsys.readouterr().out)["items"]}
    assert mscol("recipes", "show", "smc23") == 0
    assert tomllib.loads(capsys.readouterr().out)["pretrain"]["steps"] == 640_000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[pretrain]\nstep = 3\n", "'steps'"),
        ('[pretrain]\nsteps = "many"\n', "'many'"),
        ("[pretrain]\nseed = true\n", "True"),
        ("pretrain = 3\n", "[pretrain]"),
        ("[objectives]\nmsa = 3\n", "[objectives]: msa"),
        ("[objective.msa]\n", "'objectives'"),
        ("[pretrain\n", "not valid TOML"),
        ("[objectives.msa]\nsilent = 1\n", "'silent'"),
        ("[objectives.msa]\nsilent_share = 2\n", "silent_share of objective 'msa'"),
        ('[pretrain]\nobjective = "nothing"\n', "'nothing'"),
    ],
)
def test_a_recipe_that_cannot_be_used_is_refused_in_one_line(
    text: str, message: str, mscol: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.toml").write_text(text)
    given = [] if "objective =" in text else ["--objective", "msa"]
    assert mscol(*DRY, "--recipe", "bad.toml", *given) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_byte_order_mark_before_a_recipe_is_no_part_of_it(
    mscol: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.toml").write_bytes(b"\xef\xbb\xbf[pretrain]\r\nsteps = 7\r\n")
    assert mscol(*DRY, "--recipe", "mine.toml", "--objective", "msa") == 0
    assert tomllib.loads(capsys.readouterr().out)["pretrain"]["steps"] == 7


def test_unknown_and_missing_recipes_are_told_apart(
    mscol: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mscol(*DRY, "--recipe", "smc22") == 2
    assert "'smc23'" in capsys.readouterr().err
    assert mscol(*DRY, "--recipe", "gone/mine.toml") == 4
    assert "gone/mine.toml" in capsys.readouterr().err


def test_a_recipe_says_how_to_separate(
    mscol: Command, collection: Collection, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.toml").write_text(
        '[separate]\nseparator = "stems"\n[separators.stems]\nnames = ["vocals", "drums"]\n'
    )
    separate = ["separate", collection.stems, "--recipe", "mine.toml", "-o", "two.store"]
    assert mscol(*separate, "--dry-run") == 0
    resolved = tomllib.loads(capsys.readouterr().out)
    assert resolved["separators"]["stems"]["names"] == ["vocals", "drums"]
    assert not (tmp_path / "two.store").exists()
    assert mscol(*separate) == 0
    assert Store.open(tmp_path / "two.store").index.sources == ("mixture", "vocals", "drums")
    # The recipe's model is its separator's: another separator does not get it.
    other = ["separate", collection.stems, "--recipe", "smc23", "--separator", "none"]
    assert mscol(*other, "--dry-run") == 0
    assert "umxl" not in capsys.readouterr().out
