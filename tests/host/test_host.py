"""The plugin door: guarded loading, clashes, misspelt hooks, options, near names."""

import sys
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from types import ModuleType
from typing import Any

import pytest

from mscol_cli.api import NoOptions, ObjectiveCard, hookimpl, option
from mscol_cli.errors import PluginError, UsageError
from mscol_cli.host import Entry, Registry, load_registry
from mscol_cli.host.options import make_options, split_assignment
from mscol_cli.host.registry import load_plugins


def plugin(monkeypatch: pytest.MonkeyPatch, name: str, **hooks: Any) -> EntryPoint:
    """An importable module with these hooks, and the entry point that names it."""
    module = ModuleType(name)
    for hook, result in hooks.items():
        setattr(module, hook, hookimpl(_constant(result)))
    monkeypatch.setitem(sys.modules, name, module)
    return EntryPoint(name, name, "mscol")


def _constant(result: Any) -> Any:
    def hook() -> Any:
        return result

    return hook


def card(name: str = "new") -> ObjectiveCard:
    return ObjectiveCard(name, "an objective", build=lambda *_: None)


def test_a_plugin_is_found_with_its_owner() -> None:
    entry = load_registry().find("objective", "msa")
    assert (entry.owner, entry.kind) == ("mscol", "objective")
    assert entry.version


def test_the_bundled_plugins_all_load() -> None:
    registry = load_registry()
    assert registry.failures == []
    assert registry.clashes() == []
    assert {entry.kind for entry in registry.entries} == {
        "objective",
        "encoder",
        "separator",
        "task",
        "importer",
    }


def test_a_broken_plugin_costs_only_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    good = plugin(monkeypatch, "good_plugin", mscol_objectives=[card()])
    missing = EntryPoint("gone", "no_such_module_anywhere", "mscol")
    registry = load_plugins([missing, good])
    assert [entry.card.name for entry in registry.entries] == ["new"]
    assert "ModuleNotFoundError" in registry.failures[0].reason


def test_one_name_offered_twice_names_both(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [
        plugin(monkeypatch, name, mscol_objectives=[card("same")]) for name in ("one_p", "two_p")
    ]
    registry = load_plugins(points)
    with pytest.raises(PluginError, match=r"one_p.* two_p"):
        registry.find("objective", "same")


def test_a_recorded_part_is_that_of_the_recorded_package(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = load_plugins(
        [plugin(monkeypatch, name, mscol_objectives=[card("same")]) for name in ("one_p", "two_p")]
    )
    recorded = {"name": "same", "owner": "Two-P", "version": "1"}
    assert registry.as_recorded("objective", [recorded], "run").find("objective", "same").owner == (
        "two_p"
    )
    recorded["owner"] = "gone"
    message = "run needs objective 'same' of gone 1; installed is that of one_p .* and two_p "
    with pytest.raises(UsageError, match=message):
        registry.as_recorded("objective", [recorded], "run")


def test_a_name_of_mscol_is_not_freed_by_uninstalling_mscol() -> None:
    entries = [Entry("objective", card("same"), owner, "1") for owner in ("mscol", "theirs")]
    (line,) = Registry(entries).clashes()
    assert line.endswith(": uninstall theirs 1, or ask its author to rename it.")


def test_a_package_offers_a_name_once(monkeypatch: pytest.MonkeyPatch) -> None:
    point = plugin(monkeypatch, "dup_p", mscol_objectives=[card("dup"), card("dup")])
    registry = load_plugins([point])
    assert registry.entries == []
    assert "offers objective 'dup' twice" in registry.failures[0].reason


@pytest.mark.parametrize(("typed", "near"), [("msaa", "msa"), ("cloa", "cola")])
def test_an_unknown_name_gets_the_nearest(typed: str, near: str) -> None:
    with pytest.raises(UsageError, match=f"'{near}'"):
        load_registry().find("objective", typed)


def test_an_empty_registry_says_so() -> None:
    with pytest.raises(UsageError, match="Known: none"):
        Registry().find("task", "mtat")


@dataclass(frozen=True)
class Options:
    """Options of every type."""

    rate: float = option(0.5, "a rate", minimum=0, maximum=1)
    count: int = option(3, "a count", minimum=1)
    deep: bool = option(False, "a switch")
    names: tuple[str, ...] = option((), "some names", choices=("a", "b"))


def parse_options(options: type, assignments: list[str], owner: str) -> Any:
    return make_options(options, dict(split_assignment(one, owner) for one in assignments), owner)


def test_options_are_read_by_type() -> None:
    read = parse_options(Options, ["rate=0.25", "count=7", "deep=yes", "names=a, b"], "x")
    assert read == Options(0.25, 7, True, ("a", "b"))


def test_recorded_options_read_back_equal() -> None:
    assert make_options(Options, {"names": ["a"], "rate": 1}, "x") == Options(1.0, 3, False, ("a",))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rate=2", "rate of x .*at most 1, .*2.0"),
        ("count=0", "at least 1"),
        ("rate=nan", "at least 0"),
        ("count=many", "'many'"),
        ("deep=perhaps", "true or false"),
        ("names=c", "a, b.*'c'"),
        ("rat=1", "'rate'"),
        ("rate", "KEY=VALUE"),
    ],
)
def test_a_bad_option_gets_one_line(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_options(Options, [text], "x")


@dataclass(frozen=True)
class Range:
    """Options that depend on each other."""

    low: float = option(1.0, "lower end")
    high: float = option(2.0, "upper end")

    def __post_init__(self) -> None:
        if self.low >= self.high:
            raise ValueError("low must be below high")


def test_options_that_exclude_each_other_name_their_owner() -> None:
    with pytest.raises(UsageError, match="options of x: ValueError: low must be below high"):
        parse_options(Range, ["low=3"], "x")


def test_a_plugin_without_options_takes_none() -> None:
    with pytest.raises(UsageError, match="Known: none"):
        parse_options(NoOptions, ["a=1"], "x")
