"""The script for a GPU, with all parts on a CPU; what a part leaves that is stopped or fails."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from argparse import Namespace
from pathlib import Path

import pytest

from bench import on_gpu, on_gpu_parts
from bench.on_gpu import PARTS, REPOSITORY, Part
from bench.on_gpu_process import Bench
from bench.on_gpu_table import table
from bench.table import write_between

SCRIPT = REPOSITORY / "bench" / "on_gpu.py"


def run(tmp_path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), "--device", "cpu", "--smoke", "--work", str(tmp_path)]
    return subprocess.run(
        [*command, "--out", str(tmp_path / "out"), *options],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.processes
def test_all_parts_run_and_fill_the_table(tmp_path: Path) -> None:
    done = run(tmp_path, "--minutes", "60")
    out = tmp_path / "out"
    assert done.returncode == 0, (out / "on_gpu.log").read_text()[-3000:]
    parts = json.loads((out / "on_gpu.json").read_text())["parts"]
    assert list(parts) == [part.name for part in PARTS]
    assert not [name for name, part in parts.items() if "skipped" in part]
    assert parts["pretrain"]["exit_code"] == 130
    assert parts["pretrain"]["compute"]["precision"] == "fp32"
    assert parts["resume"]["difference"] == 0
    rows = (out / "on_gpu.md").read_text()
    for what in ("log-mel", "mscol pretrain", "mscol embed", "mscol separate", "mscol probe"):
        assert what in rows
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]
    docs = tmp_path / "README.md"
    begin, end = "<!-- on_gpu: begin -->", "<!-- on_gpu: end -->"
    docs.write_text(f"before\n{begin}\nold\n{end}\nafter\n")
    assert run(tmp_path, "--docs", str(docs)).returncode == 0
    assert docs.read_text() == f"before\n{begin}\n{rows}{end}\nafter\n"


@pytest.mark.slow
@pytest.mark.processes
def test_a_part_without_time_is_skipped_and_a_failed_one_costs_only_itself(tmp_path: Path) -> None:
    # The store is made of the music, so this part cannot run.
    assert run(tmp_path, "--only", "machine,resume").returncode == 1
    parts = json.loads((tmp_path / "out" / "on_gpu.json").read_text())["parts"]
    assert "copy_gigabytes_per_second" in parts["machine"]
    assert parts["resume"]["error"] == "exit code 1"
    assert run(tmp_path, "--only", "machine", "--minutes", "0.01").returncode == 0
    parts = json.loads((tmp_path / "out" / "on_gpu.json").read_text())["parts"]
    assert parts == {"machine": {"skipped": "no time was left"}}


@pytest.mark.slow
@pytest.mark.processes
def test_a_part_that_hangs_is_stopped_and_keeps_what_it_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hanging(bench: Bench) -> None:
        bench.report(first=1)
        time.sleep(60)

    monkeypatch.setitem(on_gpu_parts.PARTS, "hanging", hanging)
    monkeypatch.setattr(on_gpu, "MIN_SECONDS", 1)
    options = Namespace(smoke=True, device="cpu", out=tmp_path, work=tmp_path)
    result = on_gpu._run(Part("hanging", 2, 1), 2.0, options, {})
    assert result["first"] == 1
    assert result["error"] == "stopped after 2 s"
    assert result["seconds"] < 30


def test_the_parts_fit_into_nine_minutes() -> None:
    assert sum(part.needs for part in PARTS) <= 9 * 60
    assert all(part.needs <= part.limit for part in PARTS)


def test_a_table_has_what_a_stopped_part_had_measured() -> None:
    parts = {
        "machine": {"name": "H200", "torch": "2.11", "matmul_tflops": {"bf16": 790.4}},
        "curve": {"pairs_per_second": {"128": {"eager": 20_000.4}}, "error": "stopped after 150 s"},
        "pretrain": {"error": "exit code 1"},
    }
    lines = table({"date": "today", "device": "cuda", "smoke": False, "parts": parts})
    assert "today, H200, torch 2.11:" in lines
    assert "| 128 pairs, eager, steps alone, pairs/s | 20,000 |  |" in lines
    assert "| matrix product, TFLOP/s | bf16 790 |  |" in lines
    assert "* `pretrain`: exit code 1" in lines


def test_a_file_without_markers_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text("nothing\n")
    with pytest.raises(SystemExit, match="on_gpu: begin"):
        write_between(path, "on_gpu", "a table")
