"""Engines that a process's threads share, one at a time each: they remember much, so there are as few as can be."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

    from transforms.arrays.engines import Engine


class EnginePool:
    """Engines that nobody uses at the moment, by what they were made for.

    A worker has several copies of a DoFn: for each of its threads, and on some runners for each consumer of a step.
    Were an engine part of each, so were all that it remembers.

    >>> pool = EnginePool()
    >>> pool.enter("a")
    >>> with pool.borrow("a", make=object) as first: pass
    >>> with pool.borrow("a", make=object) as second: second is first
    True
    >>> pool.leave("a")
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users: dict[Hashable, int] = {}
        self._free: dict[Hashable, list[Engine]] = {}

    def enter(self, key: Hashable) -> None:
        """Announces a user of engines.

        Args:
            key: What they are made for.
        """
        with self._lock:
            self._users[key] = self._users.get(key, 0) + 1

    def leave(self, key: Hashable) -> None:
        """Ends what `enter` began; with the last user the engines go.

        Args:
            key: What they were made for.
        """
        with self._lock:
            self._users[key] -= 1
            if not self._users[key]:
                del self._users[key]
                self._free.pop(key, None)

    @contextmanager
    def borrow(self, key: Hashable, make: Callable[[], Engine]) -> Iterator[Engine]:
        """Lends an engine that no other thread has meanwhile.

        Args:
            key: What it is for.
            make: Makes one, where all are lent.

        Yields:
            The engine; after an error it is not lent again.
        """
        with self._lock:
            free = self._free.setdefault(key, [])
            engine = free.pop() if free else None
        engine = make() if engine is None else engine
        yield engine
        with self._lock:
            if key in self._users:
                self._free.setdefault(key, []).append(engine)


# Of this process.
ENGINE_POOL = EnginePool()
