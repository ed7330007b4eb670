"""Text of other people, such as names of files, as a terminal may show it."""

from __future__ import annotations


def printable(text: str) -> str:
    r"""Spells a text out so that any terminal and any encoding take it, on one line.

    Names of files and what stands in manifests may hold sequences that move a terminal's cursor or ring its bell.

    Args:
        text: Anybody's.

    Returns:
        The text, control characters and halves of surrogate pairs written out.

    >>> printable("a\nb\udcff é")
    'a\\nb\\udcff é'
    """
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
