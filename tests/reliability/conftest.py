"""Commands by name."""

from __future__ import annotations

from typing import Any

import pytest

from tests.helpers.cases import CASES, Case


@pytest.fixture
def case(request: pytest.FixtureRequest) -> Case:
    """The command of the name that is the parameter."""
    build: Any = CASES[request.param]
    made: Case = build(request.getfixturevalue)
    return made
