"""Draw README's picture from what a demo run wrote.

mscol demo
python docs/picture.py mscol-demo      # writes docs/images/demo.png
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

PICTURE = Path(__file__).parent / "images" / "demo.png"
RUN = "runs/demo"
MODELS = {"pre-trained": f"{RUN}/probes", "untrained": "probes/untrained"}
COLOURS = {"pre-trained": "#0072b2", "untrained": "#999999"}
TASKS = {
    "mtat": "tagging\nROC-AUC",
    "fma": "genre\naccuracy",
    "nsynth": "instrument\naccuracy",
}


def draw(demo: Path) -> Figure:
    """Loss and accuracy of the run, and the probe scores of both encoders with their intervals.

    Args:
        demo: The folder of `mscol demo`.
    """
    figure = Figure(figsize=(9, 2.8), layout="constrained")
    FigureCanvasAgg(figure)
    loss, accuracy, scores = figure.subplots(1, 3, width_ratios=[1, 1, 1.6])
    lines = (demo / RUN / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    metrics = [json.loads(line) for line in lines]
    _curve(loss, metrics, "loss")
    _curve(accuracy, metrics, "accuracy")
    _scores(scores, demo)
    return figure


def _curve(ax: Axes, metrics: Sequence[dict[str, float]], name: str) -> None:
    points = [(line["step"], line[name]) for line in metrics if name in line]
    ax.plot(*zip(*points, strict=True), color=COLOURS["pre-trained"], linewidth=1)
    ax.set(title=f"training {name}", xlabel="updates")


def _scores(ax: Axes, demo: Path) -> None:
    for number, (model, folder) in enumerate(MODELS.items()):
        scores = [_headline(demo / folder / task / "probe.json") for task in TASKS]
        values = [score["value"] for score in scores]
        errors = [
            [score["value"] - score["low"] for score in scores],
            [score["high"] - score["value"] for score in scores],
        ]
        positions = [task + 0.2 * (number - 0.5) for task in range(len(TASKS))]
        ax.errorbar(
            positions, values, errors, fmt="o", color=COLOURS[model], capsize=3, label=model
        )
    ax.set_xticks(range(len(TASKS)), list(TASKS.values()))
    ax.set(title="probe scores, 95 % intervals", ylim=(0, 1), xlim=(-0.5, len(TASKS) - 0.5))
    ax.legend(loc="lower left", frameon=False)


def _headline(path: Path) -> dict[str, float]:
    """The first metric on the first test set of a probe: value, low and high."""
    first: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["test_sets"][0]
    return dict(next(iter(first["metrics"].values())))


def main(arguments: Sequence[str]) -> None:
    """Draw the picture from the folder that is given."""
    PICTURE.parent.mkdir(exist_ok=True)
    draw(Path(arguments[0])).savefig(PICTURE, dpi=110)


if __name__ == "__main__":
    main(sys.argv[1:])
