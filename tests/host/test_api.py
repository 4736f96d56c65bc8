"""`mscol_cli.api`, what plugins may import."""

from pathlib import Path

import pytest

from mscol_cli import api

PAGE = Path(__file__).parents[2] / "docs" / "plugins.md"


@pytest.mark.parametrize("name", api.__all__)
def test_every_name_is_there_and_documented(name: str) -> None:
    assert getattr(api, name) is not None
    assert f"`{name}`" in PAGE.read_text(encoding="utf-8")


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Objectve'"):
        api.Objectve  # type: ignore[attr-defined]  # noqa: B018
