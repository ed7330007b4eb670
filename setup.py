"""Packaging of Oblong; the metadata is in pyproject.toml, this file is what Beam's --setup_file wants."""

from setuptools import setup

setup()
