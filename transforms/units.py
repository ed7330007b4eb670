"""Units of work, listed in a file from which each worker reads its own: so a job's description stays small."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from transforms.files import read_range
from transforms.inputs import Split, divide

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transforms.arrays.readers import Reading
    from transforms.inputs import Corpus

# What was known of a file when the inputs were listed: size, checksum, and when it was last changed.
Listed = tuple[int, str | None, float]

# A unit of work; and each of its files by path.
Unit = tuple[Split, dict[str, Listed]]

# Where a unit stands in a list: the first byte, and how many.
Place = tuple[int, int]

_DECODER = msgspec.json.Decoder(Unit)


class UnitList(NamedTuple):
    """Units of work in a file.

    Attributes:
        path: Where workers read it.
        places: The place of each unit.
    """

    path: str
    places: tuple[Place, ...]


def units_of(corpus: Corpus, reading: Reading) -> list[Unit]:
    """Divides inputs into units of work.

    Args:
        corpus: The inputs.
        reading: The section `read`.

    Returns:
        The units, of each format in the order of the inputs, each with what is known of its files.
    """
    known = {file.path: (file.bytes, file.checksum, file.changed) for file in corpus.files}
    return [(split, {source.path: known[source.path] for source in split.sources}) for split in divide(corpus, reading)]


def list_units(units: Sequence[Unit], path: str) -> tuple[UnitList, bytes]:
    """Spells units of work out for a file.

    Args:
        units: The units.
        path: Where the file is to be.

    Returns:
        The list, and the content of the file.
    """
    lines = [msgspec.json.encode(unit) + b"\n" for unit in units]
    places, start = [], 0
    for line in lines:
        places.append((start, len(line)))
        start += len(line)
    return UnitList(path, tuple(places)), b"".join(lines)


def load_unit(path: str, place: Place) -> Unit:
    """Reads a unit of work from a list.

    Args:
        path: The list.
        place: Where the unit stands in it.

    Returns:
        The unit.
    """
    unit: Unit = _DECODER.decode(read_range(path, *place))
    return unit
