"""Check that the variables of a checkpoint are those of the published network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from mscol_importers.mapping import NORMALISATION, VALUE, Mapped
from mscol_importers.variables import Variable

MEAN, VARIANCE, COUNT = (f"{NORMALISATION}/{name}{VALUE}" for name in ("mean", "variance", "count"))
ITERATIONS = tuple(f"optimizer/{name}{VALUE}" for name in ("iter", "_iterations"))
GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"


def find_problems(variables: Mapping[str, Variable], mappings: tuple[Mapped, ...]) -> list[str]:
    """One phrase per variable that is missing, unknown, or of the wrong dtype or shape."""
    # As `Variable.describe` writes them.
    expected = {mapped.variable: f"float32 {list(mapped.shape)}" for mapped in mappings}
    expected |= {MEAN: "float32 [1]", VARIANCE: "float32 [1]", COUNT: "int64 []"}
    optional = {name: "int64 []" for name in ITERATIONS if name in variables}
    return [
        *_missing_or_wrong(variables, expected | optional),
        *(
            f"{_short(name)} is unknown"
            for name in variables
            if name not in expected and _kind_left_out(name) is None
        ),
    ]


def count_left_out(variables: Mapping[str, Variable]) -> dict[str, int]:
    """Number of variables without a counterpart in a model, by kind."""
    kinds = (_kind_left_out(name) for name in variables)
    return dict(Counter(kind for kind in kinds if kind is not None))


def _missing_or_wrong(
    variables: Mapping[str, Variable], expected: Mapping[str, str]
) -> Iterator[str]:
    for name, wanted in expected.items():
        if name not in variables:
            yield f"{_short(name)} is missing"
        elif (actual := variables[name].describe()) != wanted:
            yield f"{_short(name)} is {actual}, not {wanted}"


def _kind_left_out(name: str) -> str | None:
    if "/.OPTIMIZER_SLOT/" in name:
        return "optimizer slots"
    if name.startswith("optimizer/"):
        return "optimizer settings"
    if name.startswith("save_counter/"):
        return "save counter"
    if name in (MEAN, VARIANCE, COUNT):
        return "identity normalisation"
    return "object graph" if name == GRAPH else None


def _short(name: str) -> str:
    return name.removesuffix(VALUE)
