"""An engine in a process of its own: a text that kills it becomes a failure of that text."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from transforms.arrays.encoder import (
    CHECKED,
    FAILED,
    IDS,
    PROVED,
    STOP,
    TEXTS,
    TOKENIZER,
    from_ipc,
    read_frame,
    to_ipc,
    write_frame,
)
from transforms.arrays.errors import EngineFailure, JobError
from transforms.arrays.ragged import Ragged

if TYPE_CHECKING:
    from typing import BinaryIO

# The paths of this process come before anything else is imported, so that no folder that happens to be the current
# one is looked into.
PROGRAM = "import sys; sys.path[:] = sys.argv[2:]; from transforms.arrays.encoder import main; main()"

SECONDS = 5  # that a process may take to leave

# In a row, without a text encoded between them: then it is no matter of single texts.
DEATHS = 200


class Died(Exception):  # noqa: N818 - how, for the sentence that is made of it
    """The process is gone; the text says how."""


class IsolatedEngine:
    """Encodes in a process of its own, which is started anew where a text has killed it.

    A text is blamed only if it kills two processes that were given nothing else.

    Args:
        tokenizer_json: The content of tokenizer.json.
        name: The engine's name.

    Raises:
        JobError: The process cannot be started, or does not take the tokenizer.
    """

    def __init__(self, tokenizer_json: bytes, name: str) -> None:
        self.name = name
        self._tokenizer_json = tokenizer_json
        self._checked = 0
        self._deaths = 0  # since a text was last encoded
        self._start(TOKENIZER)

    def encode(self, texts: Any) -> Ragged:
        """Encodes texts without special tokens: see `engines.Engine.encode`.

        Raises:
            EngineFailure: The engine failed on a text, or its process died.
            JobError: The process cannot be started again, or dies of everything.
        """
        try:
            return self._ask(texts)
        except Died as died:
            if len(texts) != 1:
                raise EngineFailure(str(died)) from None
        try:
            return self._ask(texts)
        except Died as died:
            raise EngineFailure(f"the process that encoded it {died}") from None

    def take_checked(self) -> int:
        """Hands out how many tokens the guard has compared since the last call."""
        checked, self._checked = self._checked, 0
        return checked

    def _ask(self, texts: Any) -> Ragged:
        try:
            write_frame(self._stdin, TEXTS, to_ipc("text", texts))
            kind, content = read_frame(self._stdout)
        except (EOFError, OSError):
            how = self._how_it_died()
            self._deaths += 1
            if self._deaths >= DEATHS:
                raise JobError(
                    f"run.isolate: the process that encodes died {DEATHS} times in a row, and the last one {how}; "
                    "that is no matter of single rows: try another tokenize.engine"
                ) from None
            self._start(PROVED)
            raise Died(how) from None
        if kind == FAILED:
            raise EngineFailure(content.decode())
        if kind == STOP:
            raise JobError(content.decode())
        if kind != IDS:
            raise JobError(f"run.isolate: the process that encodes answered {kind!r}; please report this")
        self._deaths = 0
        batch = from_ipc(content)
        self._checked += int(batch.schema.metadata[CHECKED])
        return Ragged.from_arrow(batch.column(0))

    def _start(self, kind: bytes) -> None:
        # Its own noise is of no use: how it died is in the dead letter.
        noise = None if os.environ.get("OBLONG_DEBUG") else subprocess.DEVNULL
        self._process = subprocess.Popen(  # noqa: S603 - this very Python
            [sys.executable, "-c", PROGRAM, self.name, *map(os.path.abspath, sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=noise,
        )
        self._stdin = cast("BinaryIO", self._process.stdin)
        self._stdout = cast("BinaryIO", self._process.stdout)
        self._end = weakref.finalize(self, _end, self._process)
        try:
            write_frame(self._stdin, kind, self._tokenizer_json)
            answer, content = read_frame(self._stdout)
        except (EOFError, OSError):
            how = self._how_it_died()
            raise JobError(
                f"run.isolate: the process that is to encode {how} before it began; OBLONG_DEBUG=1 shows what it said"
            ) from None
        if answer == STOP:
            raise JobError(f"run.isolate: {content.decode()}")

    def _how_it_died(self) -> str:
        self._end()
        return how_it_ended(self._process.returncode)


def how_it_ended(code: int) -> str:
    """Says how a process ended.

    Args:
        code: Its return code as `subprocess` has it: below 0 for a signal.

    >>> how_it_ended(-9)
    'was killed by SIGKILL'
    """
    if code >= 0:
        return f"ended with exit code {code}"
    with suppress(ValueError):
        return f"was killed by {signal.Signals(-code).name}"
    return f"was killed by signal {-code}"


def _end(process: subprocess.Popen[bytes]) -> None:
    """Lets a process go; its stdin's end tells it to."""
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with suppress(OSError):
                stream.close()
    try:
        process.wait(SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
