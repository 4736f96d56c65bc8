"""A study is one chain: what is finished stays, what is not goes on, and nothing mixes."""

import io
import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from mscol_cli.errors import UsageError
from mscol_cli.runs.layout import write_run
from mscol_cli.study.file import bundled_studies, read_study
from mscol_cli.study.plan import study_stages
from mscol_cli.study.stages import ComputeOptions, StudyPaths
from mscol_cli.study.training import PretrainStage
from mscol_cli.system.values import as_json
from tests.conftest import Command, run_in
from tests.helpers.audio import tones, write_audio
from tests.helpers.files import digest, digests
from tests.helpers.messages import mentions
from tests.helpers.openunmix import write_model
from tests.helpers.report import edit_json

STUDY = """
tasks = ["folder"]
untrained = ["small"]
seeds = 1

[stores.music]
separator = "none"

[runs.first]
objective = "cola"
encoder = "small"
steps = 4
batch_size = 4

[runs.second]
objective = "mws"
encoder = "small"
steps = 4
batch_size = 4
"""
SHORT = STUDY.partition("[runs.second]")[0].replace('untrained = ["small"]\n', "")
"""One run, and one probe."""
pytestmark = pytest.mark.usefixtures("draft_pictures")
BROKEN = STUDY.replace('[runs.first]\nobjective = "cola"', '[runs.first]\nobjective = "msa"')
PRINTED = "printed.json"
RESULT = Path("studies/study/first/probes/folder/probe.json")


def write_study(root: Path) -> Path:
    """The file of a small study, beside its data."""
    for number in range(4):
        write_audio(root / "data" / "music" / f"{number}.wav", tones(5.0, seed=number))
    for name, seeds in {"low": range(8), "high": range(8, 16)}.items():
        for seed in seeds:
            write_audio(root / "data/folder" / name / f"{seed}.wav", tones(1.5, seed=seed))
    path = root / "study.toml"
    path.write_text(STUDY)
    return path


@pytest.fixture
def study(mscol: Command, tmp_path: Path) -> Path:
    """The file of a small study, in a folder that holds its data."""
    return write_study(tmp_path)


@pytest.fixture(scope="module")
def reproduced(draft_pictures: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the study was reproduced, with what `--json` printed."""
    root = tmp_path_factory.mktemp("reproduced")
    with redirect_stdout(io.StringIO()) as printed:
        run_in(root, ["reproduce", write_study(root), "--json"])
    (root / PRINTED).write_text(printed.getvalue())
    return root


@pytest.fixture
def finished(reproduced: Path, mscol: Command, tmp_path: Path) -> Path:
    """The file of the reproduced study, in a copy of its folder."""
    shutil.copytree(reproduced, tmp_path, symlinks=True, dirs_exist_ok=True)
    return tmp_path / "study.toml"


@pytest.mark.slow
def test_a_study_is_run_once(
    mscol: Command, finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = json.loads(Path(PRINTED).read_text())
    names = [stage["name"] for stage in result["stages"]]
    assert names[:3] == ["separate music", "pretrain first", "pretrain second"]
    assert names[3:] == [
        "probe folder first",
        "probe folder second",
        "probe folder untrained-small",
        "report",
    ]
    assert {stage["outcome"] for stage in result["stages"]} == {"done"}
    page = Path("studies/study/report/report.html").read_text()
    assert all(name in page for name in ("first@4", "second@4", "untrained-small"))

    before = digests(Path("studies")) | digests(Path("data"))
    assert mscol("reproduce", finished) == 0
    captured = capsys.readouterr()
    assert "$ mscol" not in captured.err
    assert "stage 7 of 7: report" in captured.err
    assert digests(Path("studies")) | digests(Path("data")) == before


@pytest.mark.slow
def test_a_linear_probe_is_not_made_again(
    mscol: Command, study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = study.with_name("linear.toml")
    recipe.write_text('[protocols.folder]\nclassifier = "linear"\n')
    study.write_text(f'recipe = "{recipe}"\n{SHORT.replace("seeds = 1", "seeds = 2")}')
    assert mscol("reproduce", study) == 0
    capsys.readouterr()
    assert mscol("reproduce", study, "--dry-run", "--json") == 0
    assert {stage["state"] for stage in json.loads(capsys.readouterr().out)["items"]} == {"done"}


@pytest.mark.slow
def test_runs_are_scored_while_they_are_trained(mscol: Command, study: Path) -> None:
    online = '[online_probe]\nevery = 2\ntask = "folder"\n'
    study.write_text(SHORT.replace("seeds = 1", f"seeds = 1\n{online}"))
    assert mscol("reproduce", study) == 0
    logged = Path("studies/study/first/metrics.jsonl").read_text().splitlines()
    lines = [json.loads(line) for line in logged]
    assert [line["step"] for line in lines if "probe/folder" in line] == [0, 2, 4]
    study.write_text(SHORT.replace("seeds = 1", f"seeds = 1\n{online[:25]}"))
    assert mscol("reproduce", study) == 2


@pytest.mark.slow
def test_the_lines_of_the_plan_do_the_same(
    mscol: Command, study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study.write_text(SHORT)
    assert mscol("reproduce", study, "--dry-run") == 0
    plan = capsys.readouterr().out.splitlines()
    assert plan[0].split() == ["1", "to", "do", "separate", "music"]
    assert not Path("studies").exists()
    for line in plan[1::2]:
        assert mscol(*shlex.split(line)[1:]) == 0
    capsys.readouterr()
    assert mscol("reproduce", study, "--dry-run", "--json") == 0
    stages = json.loads(capsys.readouterr().out)["items"]
    assert {stage["state"] for stage in stages} == {"done"}


@pytest.mark.slow
@pytest.mark.processes
def test_an_interrupted_study_goes_on_to_the_same_weights(
    mscol: Command, study: Path, tmp_path: Path
) -> None:
    study.write_text(SHORT.replace("steps = 4", "steps = 60"))
    command = [sys.executable, "-m", "mscol_cli", "reproduce", "study.toml", "--device", "cpu"]
    chain = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    log = tmp_path / "studies/study/first/metrics.jsonl"
    while not (log.exists() and log.stat().st_size) and chain.poll() is None:
        time.sleep(0.02)
    chain.send_signal(signal.SIGINT)
    error = chain.communicate(timeout=120)[1]
    assert chain.returncode == 130, error
    assert "stage 2 of 4: pretrain first" in error

    assert mscol("reproduce", study, "--device", "cpu") == 0
    options = ["--objective", "cola", "--encoder", "small", "--steps", 60, "--batch-size", 4]
    assert mscol("pretrain", "data/music.store", *options, "--device", "cpu", "-o", "whole") == 0
    weights = "checkpoints/step-00000060/encoder.safetensors"
    resumed = tmp_path / "studies/study/first" / weights
    assert digest(resumed) == digest(Path("whole", weights))


@pytest.mark.slow
def test_a_study_that_has_changed_is_refused(
    mscol: Command, finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = digests(Path("studies"))
    finished.write_text(STUDY.replace("steps = 4", "steps = 6", 1).replace('["small"]', "[]"))
    assert mscol("reproduce", finished) == 2
    error = capsys.readouterr().err
    assert re.search(r"runs\.first\.steps .*4\b.*6\b", error)
    assert re.search(r"untrained .*\['small'\].*\[\]", error)
    assert digests(Path("studies")) == before


@pytest.mark.slow
def test_a_run_that_does_not_exist_yet_may_be_corrected(
    mscol: Command, study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study.write_text(BROKEN.replace('["small"]', "[]"))
    assert mscol("reproduce", study, "--keep-going") == 2
    corrected = STUDY.replace('["small"]', "[]")
    study.write_text(corrected)
    capsys.readouterr()
    assert mscol("reproduce", study, "--dry-run") == 0
    assert re.search(r"\d+ to do +pretrain first", capsys.readouterr().out)
    # The store of the second run may be deleted, but it stays the one that it was trained on.
    shutil.rmtree("data/music.store")
    study.write_text(corrected.replace('"none"', '"openunmix"\nmodel = "mini"'))
    assert mscol("reproduce", study, "--dry-run") == 2
    assert re.search(r"stores\.music\.separator .*none.*openunmix", capsys.readouterr().err)


@pytest.mark.parametrize("dry_run", [(), ("--dry-run",)])
@pytest.mark.parametrize(
    ("right", "wrong"), [('"small"', '"smal"'), ("steps = 4", "steps = 4\noptions = ['typo=1']")]
)
def test_a_typing_error_in_a_run_is_refused_before_anything_is_made(
    mscol: Command,
    study: Path,
    capsys: pytest.CaptureFixture[str],
    dry_run: tuple[str, ...],
    right: str,
    wrong: str,
) -> None:
    head, table, second = STUDY.partition("[runs.second]")
    study.write_text(head + table + second.replace(right, wrong))
    assert mscol("reproduce", study, *dry_run) == 2
    assert "pretrain second: " in capsys.readouterr().err
    assert not Path("data/music.store").exists()


@pytest.mark.slow
def test_a_study_whose_weights_are_a_folder_is_resumed(
    mscol: Command, study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = write_model(Path("weights/tiny"))
    separator = '"openunmix"\nmodel = "weights/tiny"\noptions = ["niter=0"]'
    study.write_text(SHORT.replace('"none"', separator))
    model = ("--separator", "openunmix", "--model", weights, "--opt", "niter=0")
    assert mscol("separate", "data/music", *model) == 0
    assert mscol("reproduce", study, "--dry-run") == 0
    assert re.search(r"\d+ done +separate music", capsys.readouterr().out)
    write_model(weights, hidden_size=8)
    assert mscol("reproduce", study, "--dry-run") == 2
    assert "vocals sha256" in capsys.readouterr().err
    (weights / "vocals.pth").unlink()
    assert mscol("reproduce", study, "--dry-run") == 0, "weights are not needed any more"


@pytest.mark.slow
def test_runs_may_be_added_to_a_study(
    mscol: Command, finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = STUDY.partition("[runs.first]")[2].partition("[runs.second]")[0]
    finished.write_text(f"{STUDY}[runs.third]{first.replace('steps = 4', 'steps = 0')}")
    assert mscol("reproduce", finished, "--dry-run") == 0
    assert re.search(r"\d+ to do +pretrain third", capsys.readouterr().out)
    # A run of 0 steps that was killed before its checkpoint is not finished.
    run = shutil.copytree(Path("studies/study/first"), Path("studies/study/third"), symlinks=True)
    shutil.rmtree(run / "checkpoints")
    edit_json(run / "run.json", training={**_training(run), "steps": 0})
    assert mscol("reproduce", finished, "--dry-run") == 0
    assert re.search(r"\d+ resume +pretrain third", capsys.readouterr().out)


def _training(run: Path) -> dict[str, Any]:
    settings: dict[str, Any] = json.loads((run / "run.json").read_text())["training"]
    return settings


@pytest.mark.slow
def test_outputs_that_were_made_otherwise_are_refused(
    mscol: Command, finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changes = {"train_split": "mtat", "init": {"reference": "other", "hash": "0" * 64}}
    edit_json(Path("studies/study/first/run.json"), **changes)
    assert mscol("reproduce", finished) == 2
    assert re.search(r"first .*init .*other.*train_split .*mtat.*all", capsys.readouterr().err)


def test_an_option_that_is_newer_than_a_run_has_its_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    paths = StudyPaths(Path("data"), tmp_path, tmp_path / "probes")

    def stage(text: str) -> PretrainStage:
        Path("study.toml").write_text(text)
        stages = study_stages(read_study("study.toml"), paths, ComputeOptions())
        return next(one for one in stages if isinstance(one, PretrainStage))

    plain = stage(SHORT)
    info: dict[str, Any] = as_json(plain.resolve().describe())
    del info["objective"]["parts"][0]["options"]["temperature"]
    write_run(plain.folder, info)
    assert plain.status().state == "resume"
    other = stage(SHORT.replace("[runs.first]", '[runs.first]\noptions = ["temperature=0.2"]'))
    with pytest.raises(UsageError, match=r"cola\.temperature is 0\.1, not 0\.2"):
        other.status()


@pytest.mark.slow
def test_a_store_that_was_separated_otherwise_is_refused(
    mscol: Command, study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mscol("separate", "data/music", "--separator", "openunmix", "--model", "mini") == 0
    assert mscol("reproduce", study) == 2
    assert re.search(r"separator .*openunmix.*none", capsys.readouterr().err)


@pytest.mark.slow
def test_only_what_has_no_valid_output_is_done_again(
    mscol: Command, finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit_json(RESULT, model_hash="another")
    shutil.rmtree("data/music.store")  # nothing needs it any more
    assert mscol("reproduce", finished) == 0
    error = capsys.readouterr().err
    ran = [line.split()[2] for line in error.splitlines() if line.startswith("$ mscol")]
    assert ran == ["probe", "report"]
    assert "separate music" in error
    assert json.loads(RESULT.read_text())["model_hash"] != "another"


@pytest.mark.slow
def test_a_failed_stage_stops_the_chain_with_its_exit_code(
    mscol: Command, study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study.write_text(BROKEN)
    assert mscol("reproduce", study) == 2
    error = capsys.readouterr().err
    assert mentions(error, "stage 2 of 7: pretrain first", "exit code 2")
    assert not Path("studies/study/second").exists()


@pytest.mark.slow
def test_the_chain_goes_on_with_what_does_not_need_a_failed_stage(
    mscol: Command, study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study.write_text(BROKEN)
    assert mscol("reproduce", study, "--keep-going") == 2
    captured = capsys.readouterr()
    outcomes = [line.split()[:-2] for line in captured.out.splitlines() if "first" in line]
    assert ["left", "out"] in [words[:2] for words in outcomes]
    assert "failed: 1" in captured.err
    page = Path("studies/study/report/report.html").read_text()
    assert "second@4" in page
    assert "first@4" not in page


@pytest.mark.slow
def test_inputs_that_are_skipped_do_not_stop_the_chain(
    mscol: Command, study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study.write_text(SHORT)
    Path("data/music/broken.wav").write_bytes(b"")
    assert mscol("reproduce", study) == 3
    assert "separate music" in capsys.readouterr().err
    assert Path("studies/study/report/report.html").exists()
    assert mscol("reproduce", study) == 0


@pytest.mark.slow
def test_missing_data_is_named_before_anything_is_done(
    mscol: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mscol("reproduce", "smc23") == 4
    error = capsys.readouterr().err
    for name in ("mtat", "nsynth", "fma"):
        assert f"mscol download {name}" in error
    assert not list(tmp_path.iterdir())
    assert mscol("reproduce", "smc23", "--dry-run") == 0
    captured = capsys.readouterr()
    assert "mscol download mtat" in captured.err
    assert "mscol pretrain data/mtat.store --recipe smc23 --objective random-mask" in captured.out


def test_a_folder_that_holds_something_else_is_left_alone(mscol: Command, study: Path) -> None:
    mine = Path("studies/study/first/mine.txt")
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    assert mscol("reproduce", study) == 2
    assert mine.read_text() == "mine"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("steps = 3", "setting in study.toml"),
        ("tasks = 'fma'\n[runs.a]", "study.toml: tasks"),
        ("seeds = 'two'\n[stores.a]\n[runs.a]", "seeds "),
        ("[stores.a]", "has no run"),
        ("[stores.a]\n[runs.a]\nstore = 'b'", "study.toml, [runs.a]"),
        ("[stores.a]\n[runs.'../a']", "'../a'"),
        ("[stores.a]\n[runs.a]\nstep = 3", "study.toml, [runs.a]"),
        ("runs = [", "not valid TOML"),
    ],
)
def test_a_file_that_is_no_study_is_one_line(
    mscol: Command,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    text: str,
    message: str,
) -> None:
    (tmp_path / "study.toml").write_text(text)
    assert mscol("reproduce", "study.toml") == 2
    assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["study.toml"]


def test_unknown_studies_are_named(mscol: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert mscol("reproduce", "smc24") == 2
    assert "smc23" in capsys.readouterr().err
    assert mscol("reproduce", "no/such.toml") == 4
    assert "no/such.toml" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--keep-going", "--dry-run", "--show", "--output=x"])
def test_options_of_a_study_need_one(
    mscol: Command, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    assert mscol("reproduce", option) == 2
    assert "STUDY" in capsys.readouterr().err


def test_bundled_studies_are_listed_and_shown(
    mscol: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mscol("reproduce", "--json") == 0
    listed = {study["name"] for study in json.loads(capsys.readouterr().out)["items"]}
    assert listed == {study.name for study in bundled_studies()} >= {"smc23", "demo"}
    assert mscol("reproduce") == 0
    lines = capsys.readouterr().out.splitlines()
    assert {line.split()[0] for line in lines[1:]} == listed, "off a terminal no line is folded"
    for name in listed:
        assert mscol("reproduce", name, "--show") == 0
        Path("copy.toml").write_text(capsys.readouterr().out)
        assert read_study("copy.toml").content == read_study(name).content
