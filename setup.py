"""What pyproject.toml cannot say: the folder of builds, and README as it reads elsewhere."""

import re
from atexit import register
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

from setuptools import setup

PICTURE = re.compile(r"^!\[[^]]*\]\((?!https:)[^)]*\)\n\n\*[^*]*\*\n\n", re.MULTILINE)
LINK = re.compile(r"\[([^]]*)\]\((?!https:|#)([^)]*)\)")


def name_file(link: re.Match[str]) -> str:
    """Text and path in place of a link, which leads nowhere outside the checkout."""
    text, path = link.groups()
    return f"`{path}`" if text == path else f"{text} (`{path}`)"


# None stays in a checkout.
folder = mkdtemp()
register(rmtree, folder, ignore_errors=True)
readme = Path(__file__).with_name("README.md").read_text(encoding="utf-8")
setup(
    options={"build": {"build_base": folder}},
    long_description=LINK.sub(name_file, PICTURE.sub("", readme)),
    long_description_content_type="text/markdown",
)
