"""Ages as people write them."""

from __future__ import annotations

import re

from transforms.arrays.errors import ConfigError

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def parse_age(text: str, where: str) -> float:
    """Reads an age such as 7d, 12h, 90m, 30s or 2w; a bare number is seconds.

    Args:
        text: What was written.
        where: The option that gave it, for messages.

    Returns:
        Seconds.

    Raises:
        ConfigError: It is none of these.

    >>> parse_age("7d", "--older-than")
    604800.0
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw]?)", text)
    if match is None:
        raise ConfigError(f"{where}: {text!r} is no age; write e.g. 7d, 12h or 0")
    return float(match[1]) * UNITS[match[2] or "s"]
