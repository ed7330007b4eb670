"""What can happen to a file between two looks at it."""

import os


def halve(path):
    os.truncate(path, path.stat().st_size // 2)


def write_over(path):
    """As many bytes, the same ones even, and another time of change."""
    path.write_bytes(path.read_bytes())


def replace(path):
    """Another file of the same bytes takes its place."""
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    other.replace(path)


def turn_into_a_folder(path):
    path.unlink()
    path.mkdir()
