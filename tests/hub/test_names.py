"""Names of model repositories."""

import pytest

from mscol_cli.errors import UsageError
from mscol_cli.hub.names import HubName, parse_name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("hf:me/model", HubName("me/model")),
        ("hf:My.Org_2/a-b_c.1", HubName("My.Org_2/a-b_c.1")),
        ("hf:me/model@v1.0", HubName("me/model", "v1.0")),
        ("hf:me/model@refs/pr/3", HubName("me/model", "refs/pr/3")),
        (f"hf:me/model@{'0a' * 20}", HubName("me/model", "0a" * 20)),
    ],
)
def test_valid_names_survive_a_round_trip(text: str, name: HubName) -> None:
    assert parse_name(text) == name
    assert str(name) == text


@pytest.mark.parametrize(
    "text",
    [
        "hf:",
        "hf:model",
        "hf:me/",
        "hf:/model",
        "hf:me/model/more",
        "hf:me/../model",
        "hf:../model",
        "hf:me/mo--del",
        "hf:me/model.git",
        "hf:me/mo del",
        "hf:me/modèle",
        "hf:me/model@",
        "hf:me/model@../../etc",
        "hf:me/model@a//b",
        "hf:me/model@-x",
        "hf:me/model\n",
        f"hf:me/{'x' * 97}",
        "me/model",
    ],
)
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="does not name a model repository"):
        parse_name(text)
