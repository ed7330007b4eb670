"""The base of the frozen structs that are a YAML section and a step's constructor argument at once."""

from __future__ import annotations

import msgspec

from transforms.arrays.errors import ConfigError


class Spec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A section of the configuration: frozen, strict, checked when it is made."""


def at_least(value: int | None, least: int, where: str) -> None:
    """Checks a number that may be left out.

    Args:
        value: What was written; None passes.
        least: The smallest value that works.
        where: The option, as `section.key`.

    Raises:
        ConfigError: `value` is smaller.

    >>> at_least(0, 1, "batch.rows")
    Traceback (most recent call last):
    transforms.arrays.errors.ConfigError: batch.rows: 0 is too small; it must be at least 1
    """
    if value is not None and value < least:
        raise ConfigError(f"{where}: {value} is too small; it must be at least {least}")
