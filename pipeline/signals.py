"""Signals that stop the command: Ctrl-C and SIGTERM are heard once, and what is cleared up then is not disturbed."""

from __future__ import annotations

import atexit
import signal
import sys
import threading
import time
import weakref
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TextIO, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# What a user is told, by the signal that came; the exit code is 128 and its number, as a shell has it.
STOPS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}

AGAIN = 2.0  # seconds after which a stop that nobody has passed on comes again

PATIENCE = 30.0  # seconds after a signal in which another says nothing new: what it began is still being cleared up


class Stopped(KeyboardInterrupt):
    """Ctrl-C or SIGTERM; unlike what it is made of, it can be seen to be gone."""


class Stop:
    """The signal that has stopped the command.

    Attributes:
        number: The signal; SIGINT until there was another.
        heard: Whether it came.
    """

    def __init__(self) -> None:
        self.number = signal.SIGINT
        self.heard = False
        self._quiet_until = 0.0
        self._ended = False
        self._alive: weakref.ref[Stopped] | None = None  # until what was raised is gone

    @property
    def word(self) -> str:
        """What the command was: interrupted or terminated."""
        return STOPS[self.number]

    @property
    def code(self) -> int:
        """The exit code for it."""
        return 128 + self.number

    def hear(self, number: int, frame: Any) -> None:
        """The handler: a signal is Ctrl-C to all that runs, one that follows soon is the same one again."""
        if self._ended:
            signal.signal(number, signal.SIG_DFL)  # only the first is left out: what hangs can still be stopped
            return
        if self.heard and time.monotonic() < self._quiet_until:
            return
        self.heard = True
        self._quiet_until = time.monotonic() + PATIENCE
        self.number = signal.Signals(number)
        stopped = Stopped()
        # Where it is raised in a finalizer, say, Python drops it, and whoever was to stop goes on.
        self._alive = weakref.ref(stopped, self._come_again)
        try:
            raise stopped
        finally:
            del stopped  # its traceback holds this frame, which would hold it

    def _come_again(self, _: object) -> None:
        """Sends the signal once more in a while, unless the command has ended by then."""
        if self._ended:
            return
        timer = threading.Timer(AGAIN, self._send)
        timer.daemon = True
        timer.start()

    def _send(self) -> None:
        if not self._ended:
            self._quiet_until = 0.0
            signal.pthread_kill(threading.main_thread().ident or 0, self.number)

    def end(self) -> None:
        """From here on the command leaves, with the exit code it has; a signal changes nothing of that."""
        self._ended = True


class _Stderr:
    """The stream, without what worker threads of a stopped command say: they lose what they work on."""

    def __init__(self, stream: Any, stop: Stop) -> None:
        self._stream, self._stop = stream, stop

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Writes, or not."""
        if self._stop.heard and threading.current_thread() is not threading.main_thread():
            return len(text)
        return int(self._stream.write(text))


@contextmanager
def heed_signals() -> Iterator[Stop]:
    """Has SIGTERM stop the command as Ctrl-C does, while the block runs and after it: the process is the command's.

    A signal that the process was started to ignore stays ignored.

    Yields:
        What was heard.
    """
    stop = Stop()
    for number in STOPS:
        if signal.getsignal(number) not in (signal.SIG_IGN, None):
            signal.signal(number, stop.hear)
    sys.stderr = cast("TextIO", _Stderr(sys.stderr, stop))
    sys.unraisablehook = partial(_say_what_is_dropped, sys.unraisablehook)
    atexit.register(_ignore)
    try:
        yield stop
    finally:
        stop.end()


def _say_what_is_dropped(before: Callable[[Any], Any], dropped: Any) -> None:
    """Has Python say which exceptions it drops, but for those that come again."""
    if not isinstance(dropped.exc_value, Stopped):
        before(dropped)


def _ignore() -> None:
    """Leaves the process to its last moments, when Python has handlers no more, and a signal would tell a lie."""
    for number in STOPS:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Holds Ctrl-C and SIGTERM back while the block runs: what it removes is removed.

    Outside of the main thread nothing is held back, since no signal comes there.
    """
    came: list[int] = []
    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for number in STOPS:
            before[number] = signal.getsignal(number)
            if before[number] not in (signal.SIG_IGN, None):
                signal.signal(number, lambda got, _: came.append(got))
    try:
        yield
    finally:
        for held, handler in before.items():
            if handler not in (signal.SIG_IGN, None):
                signal.signal(held, handler)
        with suppress(IndexError):
            signal.raise_signal(came[0])
