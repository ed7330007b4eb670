"""How long a file system is waited for, and asked again, before a job gives it up."""

from __future__ import annotations

import os
import random
import time
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from transforms.arrays.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

TIMEOUT, PATIENCE = "OBLONG_STORE_TIMEOUT", "OBLONG_STORE_PATIENCE"

FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0  # seconds; each wait is up to twice as long as the one before

BUSY = (408, 429, 500, 502, 503, 504)  # answers of HTTP that may be others later


class CutShort(Exception):  # noqa: N818 - named as what a library raises, behind whose name stands the file's
    """Fewer bytes came than are there; the text says how many."""


class Patience(NamedTuple):
    """How long a file system is waited for.

    Attributes:
        timeout: Seconds without a byte, after which a call has failed.
        seconds: For which a call that fails is repeated.
    """

    timeout: float
    seconds: float


def patience() -> Patience:
    """Reads from the environment how long a file system is waited for.

    Returns:
        What OBLONG_STORE_TIMEOUT and OBLONG_STORE_PATIENCE say; 60 and 120 seconds where they are not set.

    Raises:
        ConfigError: One of them is no number of seconds.
    """
    return Patience(_seconds(TIMEOUT, 60), _seconds(PATIENCE, 120))


def _seconds(name: str, default: float) -> float:
    written = os.environ.get(name)
    try:
        seconds = default if written is None else float(written)
    except ValueError:
        seconds = -1
    if not 0 < seconds < 1e6:
        raise ConfigError(f"needs a number of seconds above 0 in the environment's {name}, not {written!r}")
    return seconds


def persist(call: Callable[[], T], may_pass: Callable[[Exception], bool], seconds: float) -> T:
    """Makes a call, and makes it again while it fails in a way that may pass.

    Args:
        call: The call, which does no harm when it is made twice.
        may_pass: Says of what it raised whether another try could go better.
        seconds: After which no further try begins.

    Returns:
        What the call gives.
    """
    end, wait = time.monotonic() + seconds, FIRST_WAIT
    while True:
        try:
            return call()
        except Exception as error:
            if not may_pass(error) or time.monotonic() + wait > end:
                raise
        time.sleep(wait * random.uniform(0.5, 1))  # noqa: S311 - so that workers do not come back all at once
        wait = min(2 * wait, LONGEST_WAIT)
