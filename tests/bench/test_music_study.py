"""bench/music: the study of rows and seeds, and intervals over clips and seeds."""

import json
from pathlib import Path

import numpy as np
import pytest

from bench.music import build, study
from bench.music.rows import GROUPS
from bench.music.run import DATA, STEMS, main
from bench.music.runs import Run
from bench.music.scores import measure_spread, pool_rows
from bench.music.study import affordable, known_updates, study_text
from mscol_cli.probe.bootstrap import Resampled
from mscol_cli.study.file import read_study
from mscol_cli.study.plan import study_stages
from mscol_cli.study.stages import ComputeOptions, StudyPaths
from mscol_cli.synthetic import Collection

KEY = ("nsynth", "test", "accuracy")


@pytest.mark.parametrize("group", GROUPS)
def test_every_row_has_settings_that_pretrain_takes(group: str, tmp_path: Path) -> None:
    path = tmp_path / f"{group}.toml"
    path.write_text(study_text(group, GROUPS[group], updates=300, seeds=2))
    (tmp_path / "recipe.toml").write_text(Path("bench/music/recipe.toml").read_text())
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        paths = StudyPaths(Path("data"), tmp_path / group, tmp_path / "probes")
        stages = study_stages(read_study(str(path)), paths, ComputeOptions())
        runs = [stage for stage in stages if stage.name.startswith("pretrain ")]
        assert len(runs) == 2 * len(GROUPS[group])
        assert {stage.status().state for stage in runs} == {"to do"}
        for stage in runs:
            settings = stage.resolve()  # type: ignore[attr-defined]
            assert settings.training.steps == (0 if "untrained" in stage.name else 300)
            assert settings.encoder.options.level == "rms"


def test_intervals_include_the_spread_over_seeds_of_all_rows() -> None:
    def run(name: str, value: float) -> Run:
        return Run(name, scores={KEY: Resampled(value, np.full(4000, value), 4000)})

    values = {"cola": (0.4, 0.44), "msa": (0.5, 0.54, 0.58), "mws": (0.6,)}
    runs = [
        run(f"{row}-{seed}", value) for row, of in values.items() for seed, value in enumerate(of)
    ]
    rows = pool_rows([*runs, run("mini", 0.7)])
    deviation = np.sqrt((2 * 0.02**2 + 2 * 0.04**2) / (1 + 2))  # squares over degrees of freedom
    for row, of in values.items():
        low, high = rows[row].scores[KEY].interval()
        assert rows[row].scores[KEY].value == pytest.approx(np.mean(of))
        assert high - low == pytest.approx(2 * 1.96 * deviation / np.sqrt(len(of)), rel=0.1)
    assert rows["mini"].scores[KEY].interval() == pytest.approx((0.7, 0.7))


def test_what_runs_differ_by_on_resampled_clips_is_no_spread_over_seeds() -> None:
    rng = np.random.default_rng(0)
    clips, seeds = 200, 40
    right = rng.random((seeds, clips)) < 0.7  # all seeds are equally good
    drawn = rng.multinomial(clips, np.full(clips, 1 / clips), size=1000) / clips
    runs = [
        Run(f"cola-{seed}", scores={KEY: Resampled(of_seed.mean(), drawn @ of_seed, clips)})
        for seed, of_seed in enumerate(right)
    ]
    assert np.std([run.scores[KEY].value for run in runs]) > 0.03
    assert measure_spread([runs]).scores[KEY] < 0.02


def test_trained_and_untrained_rows_have_spreads_of_their_own() -> None:
    def run(name: str, value: float) -> Run:
        return Run(name, scores={KEY: Resampled(value, np.full(1000, value), 4000)})

    trained = [run("cola-0", 0.5), run("cola-1", 0.5)]
    rows = pool_rows([*trained, run("untrained-0", 0.3), run("untrained-1", 0.5)])
    assert rows["cola"].scores[KEY].draws.std() == 0
    assert rows["untrained"].scores[KEY].draws.std() == pytest.approx(0.1, rel=0.1)


@pytest.mark.parametrize(("first", "later"), [("main", "paper"), ("paper", "main")])
def test_the_number_of_updates_is_found_beside_untrained_rows(
    tmp_path: Path, first: str, later: str
) -> None:
    for group, steps in ((first, 0), (later, 2000)):
        (tmp_path / group).mkdir()
        study = {"study": {"runs": {"row-0": {"steps": steps}}}}
        (tmp_path / group / "study.json").write_text(json.dumps(study))
    assert known_updates(tmp_path) == 2000


def test_untrained_rows_need_no_budget() -> None:
    assert affordable([row for row in GROUPS["main"] if not row.trained], seeds=3, hours=1) == 0


def test_a_dry_run_says_what_it_takes_and_does_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main([str(tmp_path / "bench"), "--budget", "5", "--groups", "main", "--dry-run"])
    assert "12 runs: 5 h of training" in capsys.readouterr().err
    main([str(tmp_path / "bench"), "--updates", "2000", "--rows", "clmr", "--dry-run"])
    assert "3 runs: 2,000 updates each" in capsys.readouterr().err
    assert not (tmp_path / "bench").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("draft_pictures")
def test_one_command_runs_a_study_and_its_results_compare_rows(
    collection: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "bench"
    (folder / "music").mkdir(parents=True)
    sources = {**{task: task for task in ("mtat", "nsynth", "fma")}, "recorded": "mtat"}
    for name, source in sources.items():
        target = folder / "music" / DATA[name]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(collection.root / source)
    (folder / "music" / STEMS).parent.mkdir(parents=True)
    (folder / "music" / STEMS).symlink_to(collection.stems)
    built: list[str] = []
    monkeypatch.setattr(build, "main", lambda arguments: built.append(arguments[0]))
    monkeypatch.chdir(tmp_path)
    rows = ["--rows", "untrained", "cola", "msa", "--seeds", "1"]
    main([str(folder), "--groups", "main", *rows, "--updates", "2"])
    with pytest.raises(SystemExit, match="was begun with 2 updates"):
        study.main([str(folder), "--groups", "main", "--updates", "3"])
    assert built == ["recorded", "rendered", "tasks"]
    text = (folder / "RESULTS.md").read_text()
    assert "| untrained | initial weights | - | 1 | 0 | - |" in text
    assert "| msa | mixture and one separated source, as published | msa | 1 | 2 |" in text
    row = next(line for line in text.splitlines() if line.startswith("| MSA is ahead of COLA |"))
    assert row.count("[") == 5
    assert "## Difference from logmel" in text
    assert "| mini | the bundled encoder |" in text
