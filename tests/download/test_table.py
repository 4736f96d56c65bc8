"""The packaged table, and one of a lab's own over it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mscol_cli.download.checksum import Checksum, hash_file
from mscol_cli.download.table import Collection, find_collection, load_table
from mscol_cli.download.web import is_web_address
from mscol_cli.errors import UsageError

ROOT = Path(__file__).parents[2]
PACKAGED = ROOT / "mscol_cli" / "download" / "table.toml"
PLACES = ("mscol_cli", "plugins", "tests", "docs", ".ci")
GOOD = """
[mine]
title = "Mine"
licence = "CC0"
licence_from = "me"
page = "https://example.org"
folder = "data/mine"
layout = "one file"
[[mine.files]]
name = "a.bin"
urls = ["https://example.org/a.bin"]
"""


@pytest.fixture(scope="module")
def packaged() -> dict[str, Collection]:
    return load_table()


def test_every_collection_states_licence_and_size(packaged: dict[str, Collection]) -> None:
    assert set(packaged) == {"mtat", "nsynth", "fma", "umxl", "umxhq", "umxse"}
    for collection in packaged.values():
        assert collection.licence
        assert collection.licence_from
        assert is_web_address(collection.page)
        assert all(file.about > 0 for file in collection.files)
        assert all(archive.unpacked > 0 for archive in collection.archives)


def test_every_file_has_web_addresses_and_a_hash(packaged: dict[str, Collection]) -> None:
    for collection in packaged.values():
        for file in collection.files:
            assert file.urls
            assert all(is_web_address(url) for url in file.urls)
            assert all(url.endswith(f"/{file.name}") for url in file.urls)
            assert file.checksum is not None


def test_the_names_of_weights_carry_the_beginning_of_their_hash(
    packaged: dict[str, Collection],
) -> None:
    for name in ("umxl", "umxhq"):
        for file in packaged[name].files:
            assert file.checksum is not None
            assert file.name.endswith(f"-{file.checksum.digits[:8]}.pth")


def test_no_address_or_hash_of_the_table_is_written_anywhere_else(
    packaged: dict[str, Collection],
) -> None:
    known = [file for collection in packaged.values() for file in collection.files]
    facts = {url for file in known for url in file.urls}
    facts |= {file.checksum.digits[:8] for file in known if file.checksum is not None}
    paths = [path for place in PLACES for path in (ROOT / place).rglob("*") if path.is_file()]
    for path in [*paths, *ROOT.glob("*.md"), ROOT / "pyproject.toml"]:
        # The page of the command shows what it prints.
        if path in (PACKAGED, ROOT / "docs" / "commands" / "download.md"):
            continue
        if path.suffix in ("", ".py", ".md", ".toml", ".json", ".txt"):
            text = path.read_text(encoding="utf-8", errors="replace")
            assert not [fact for fact in facts if fact in text], path


def test_the_files_of_the_probes_lie_where_the_tasks_look(packaged: dict[str, Collection]) -> None:
    for name in ("mtat", "nsynth", "fma"):
        assert packaged[name].folder == f"data/{name}"
    assert {archive.name for archive in packaged["mtat"].archives} == {"mp3.zip"}


def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    path = tmp_path / "own.toml"
    path.write_text(text)
    monkeypatch.setenv("MSCOL_DOWNLOADS", str(path))


def test_a_table_of_ones_own_goes_over_the_packaged_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own(tmp_path, monkeypatch, GOOD + GOOD.replace("mine", "mtat"))
    assert find_collection("mine").title == "Mine"
    assert find_collection("mtat").title == "Mine"
    assert find_collection("fma").files[0].size
    with pytest.raises(UsageError, match="'her'"):
        find_collection("her")


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("[mine]", "[mine", "is not TOML"),
        ("[mine]", "MINE = 1\n[mine]", "'MINE'"),
        ('licence = "CC0"\n', "", "mine: licence"),
        ('licence = "CC0"', 'licence = ""', "mine: licence is empty"),
        ('licence = "CC0"', "licence = 0", "licence"),
        ('licence = "CC0"', 'license = "CC0"\nlicence = "CC0"', "'license'"),
        ("https://example.org/a.bin", "file:///etc/passwd", "not an http or https address"),
        ("https://example.org/a.bin", "http://[a.bin", "not an http or https address"),
        ('["https://example.org/a.bin"]', "[]", "urls is empty"),
        ('"a.bin"', '"../a.bin"', "files 1: name '../a.bin'"),
        ('"a.bin"', '"a.bin"\nhash = "sha256:12"', "needs 64 hexadecimal digits"),
        ('"a.bin"', '"a.bin"\nhash = "crc:12"', "begins with none of sha512, sha256, sha1, md5"),
        ('"a.bin"', '"a.bin"\nsize = 0', "size must be at least 1"),
        ('"a.bin"', '"a.bin"\nunpack = "rar"', "unpack takes zip, tar.gz"),
        ('"a.bin"', '"a.bin"\nfile = 1', "'file'"),
    ],
)
def test_a_mistake_in_it_is_placed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str, after: str, message: str
) -> None:
    own(tmp_path, monkeypatch, GOOD.replace(before, after))
    with pytest.raises(UsageError, match=re.escape(message)) as caught:
        load_table()
    assert "own.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_two_files_of_one_name_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own(tmp_path, monkeypatch, GOOD + GOOD.partition("[[")[1] + GOOD.partition("[[")[2])
    with pytest.raises(UsageError, match="two files have one name"):
        load_table()


def test_a_table_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MSCOL_DOWNLOADS", "/nowhere/own.toml")
    with pytest.raises(UsageError, match=r"MSCOL_DOWNLOADS.*/nowhere/own\.toml"):
        load_table()


@pytest.mark.parametrize(
    "text",
    [
        "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "sha256-prefix:ba7816bf",
        "sha1:a9993e364706816aba3e25717850c26c9cd0d89d",
        "md5:900150983cd24fb0d6963f7d28e17f72",
    ],
)
def test_hashes_are_those_of_the_standards(tmp_path: Path, text: str) -> None:
    path = tmp_path / "abc"
    path.write_bytes(b"abc")
    stated = Checksum.parse(text)
    assert stated.matches(hash_file(path, stated))
    path.write_bytes(b"abd")
    assert not stated.matches(hash_file(path, stated))
