"""What can go wrong, as the user meets it.

OblongError
├── ConfigError   the user's mistake: exit 2, one line, no traceback
└── JobError      the job cannot go on: exit 1, one line
    └── StoreError   a file system does not do what it is asked
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class OblongError(Exception):
    """The base of every error that Oblong raises on purpose; its text is one line for a person."""


class ConfigError(OblongError, ValueError):
    """Something the user wrote cannot work; the text names the place, what was found and the remedy."""


class JobError(OblongError, RuntimeError):
    """The job cannot end well; the text names what stopped it and where.

    Attributes:
        passing: Whether the same may go well later, with nothing changed.
    """

    passing: bool = False


class StoreError(JobError):
    """A file system does not do what it is asked; the text names the path, and what the system or service said."""


class Refusal(Exception):  # noqa: N818 - nothing failed: another engine takes over
    """Why an engine does not take a tokenizer."""


class NotInstalled(Refusal):
    """The package of an engine is not there; the text is the command that installs it."""


class EngineFailure(Exception):  # noqa: N818 - of a text, and not of the job
    """What an engine in another process said of a text, or how that process died; its text is whole."""


def blame(error: Exception, where: str) -> ConfigError | JobError:
    """Says whose it is that something a user named cannot be read: the user's, or a service's that is out of order.

    Args:
        error: Why it cannot be read.
        where: The option that named it.

    Returns:
        What to raise, with the option before the text.

    >>> blame(FileNotFoundError("no such bucket"), "read.files")
    ConfigError('read.files: no such bucket')
    """
    kind = JobError if getattr(error, "passing", False) else ConfigError
    return kind(f"{where}: {error}")


def suggest(word: str, choices: Iterable[str]) -> str:
    """Says which of `choices` the user probably meant by `word`.

    Args:
        word: What was written.
        choices: What could have been written.

    Returns:
        A clause to put behind a message: the closest choice, else all of them.

    >>> suggest("truncat", ["truncate", "pad"])
    'did you mean truncate?'
    >>> suggest("x", ["truncate", "pad"])
    'one of pad, truncate'
    """
    known = sorted(choices)
    close = get_close_matches(word, known, n=1)
    return f"did you mean {close[0]}?" if close else f"one of {', '.join(known)}"


def one_of(value: object, choices: Iterable[str], where: str) -> None:
    """Checks that `value` is one of a registry's names.

    Args:
        value: What was written.
        choices: The names that exist.
        where: The option, as `section.key`.

    Raises:
        ConfigError: `value` is none of them.
    """
    known = list(choices)
    if value not in known:
        raise ConfigError(f"{where}: {value!r} is not known; {suggest(str(value), known)}")


def at_most_one_of_each(names: Iterable[str], where: str) -> None:
    """Checks that no name is written twice.

    Args:
        names: What was written.
        where: The option, as `section.key`.

    Raises:
        ConfigError: A name is repeated.
    """
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ConfigError(f"{where}: {name!r} is named twice")
        seen.add(name)
