"""What pyproject.toml cannot say: build in a temporary folder, so that none stays in a checkout."""

from atexit import register
from shutil import rmtree
from tempfile import mkdtemp

from setuptools import setup

folder = mkdtemp()
register(rmtree, folder, ignore_errors=True)
setup(options={"build": {"build_base": folder}})
