"""The bench of separators: ratios that are known, and whatever separator is installed."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.separation_quality import main, ratio, score, table
from tests.helpers.audio import tones, write_audio
from tests.helpers.openunmix import write_model


def rows(output: str) -> dict[str, list[str]]:
    """Cells by the first cell of their row."""
    lines = [line.split("|") for line in output.splitlines() if line.startswith("|")]
    return {cells[1].strip(): [cell.strip() for cell in cells[2:-1]] for cells in lines}


@pytest.fixture
def stems(tmp_path: Path) -> Path:
    """Two songs of one second; the second has no vocals."""
    folder = tmp_path / "stems"
    for song in (1, 2):
        for number, name in enumerate(("vocals", "drums")):
            sound = tones(1.0, 44_100, 2, seed=10 * song + number)
            if song == 2 and name == "vocals":
                sound = np.zeros_like(sound)
            write_audio(folder / f"song{song}" / f"{name}.wav", sound, 44_100)
    return folder


def test_a_ratio_is_that_of_signal_to_distortion() -> None:
    true = torch.tensor([[3.0, 4.0], [0.0, 0.0]])
    assert ratio(true, true) == math.inf
    assert ratio(true, 2 * true) == pytest.approx(0)
    assert ratio(true, 0.9 * true) == pytest.approx(20)
    assert ratio(true, true.mean(dim=0, keepdim=True)) == math.inf


def test_medians_leave_silent_stems_out_and_count_them() -> None:
    loud, silent = torch.ones(1, 4), torch.zeros(1, 4)
    true = {"mixture": loud, "vocals": loud, "bass": silent}
    scores = [
        score(f"song{gain}", 1.0, true, {"vocals": gain * loud, "bass": silent})
        for gain in (0.9, 0.99, 0.5)
    ]
    found = rows("\n".join(table(scores, ["vocals", "bass"])))
    assert found["song0.9"] == ["20.0 (inf)", "silent", "20.0"]
    assert found["**median**"] == ["**20.00**", "**none**", "20.00"]
    assert found["silent, left out"] == ["0", "3", ""]


def test_true_stems_are_infinitely_good(stems: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (stems / "odd").mkdir()
    write_audio(stems / "odd" / "guitar.wav", tones(1.0, 44_100), 44_100)
    arguments = ["--separator", "stems", "--opt", "names=vocals,drums"]
    assert main([str(stems), *arguments]) == 3
    captured = capsys.readouterr()
    found = rows(captured.out)
    assert found["**median**"] == ["**inf**", "**inf**", "inf"]
    assert found["song2"][0] == "silent"
    assert "vocals, drums" in captured.err


def test_a_network_is_given_the_mixture_alone(
    stems: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = write_model(tmp_path / "tiny", channels=1)
    options = ["--model", str(model), "--opt", "targets=vocals,drums", "--rate", "16000"]
    assert main([str(stems), "--separator", "openunmix", *options]) == 0
    output = capsys.readouterr().out
    estimate, mixture = rows(output)["song1"][0].rstrip(")").split(" (")
    assert float(estimate) < 20
    assert abs(float(mixture)) < 6
    assert "at 16000 Hz" in output
    assert "2 s of music in" in output


def test_what_cannot_be_measured_is_said(
    stems: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for arguments, code, message in (
        ([stems, "--separator", "stem"], 2, "'stems'"),
        ([stems, "--separator", "none"], 2, "'none'"),
        ([tmp_path / "nothing", "--separator", "stems"], 4, "nothing"),
        ([stems, "--separator", "stems", "--opt", "names=tuba"], 1, "not one track"),
    ):
        assert main([str(argument) for argument in arguments]) == code
        assert message in capsys.readouterr().err
