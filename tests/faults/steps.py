"""Steps: what the processes of a job do to its folders, seen from outside, and the one at which a signal is sent.

Nothing in the product knows of this. Each process of a job that is watched has the calls replaced by which files are
made, written, renamed and removed; those that concern the output or the folder of spills are steps, each with a name.
"""

from __future__ import annotations

import builtins
import fcntl
import io
import json
import os
import pathlib
import re
import shutil  # noqa: F401 - looks at the functions of `os` when it is imported, so before they are replaced
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

VARIABLE = "OBLONG_FAULTS"  # the environment's, with a `Watched` as JSON
BEFORE, HALFWAY, AFTER = "before", "halfway", "after"
HOLD = 0.3  # seconds that a step is held up when its signal goes to another process or thread

PACKAGES = re.compile(r"/(?:pipeline|transforms)/(?!files\.py|filesystems/)")
ROLES = [
    (re.compile(pattern), role)
    for pattern, role in (
        (r"generations", "folder of generations"),
        (r"generations/\d+\.json", "generation"),
        (r"runs(/[^/]+)?", "run folder"),
        (r"runs/[^/]+/manifest\.json", "manifest"),
        (r"runs/[^/]+/[^/]+\.tmp", "scratch folder"),
        (r"runs/[^/]+/[^/]+\.tmp/[0-9a-f]{32}", "scratch file"),
        (r"runs/[^/]+/[^/]+\.tmp/(?:units.jsonl|described.json|spills_to)", "list for workers"),
        (r"runs/[^/]+/[^/]+\.tmp/at", "folder of breadcrumbs"),
        (r"runs/[^/]+/[^/]+\.tmp/at/.*", "breadcrumb"),
        (r"(?:runs/[^/]+/[^/]+\.tmp/spill|oblong-[^/]+)", "spill folder"),
        (r"(?:runs/[^/]+/[^/]+\.tmp/spill|oblong-[^/]+)/.*", "spill"),
        (r"runs/[^/]+/[^/]+", "attempt folder"),
        (r"runs/[^/]+/[^/]+/tokenizer(?:/.*)?", "tokenizer"),
        (r"runs/[^/]+/[^/]+/dead_letters(?:/.*)?", "dead letters"),
        (r"runs/[^/]+/[^/]+/.*\.(?:parquet|tfrecord)", "shard"),
        (r"runs/[^/]+/[^/]+/.*", "shard folder"),
    )
]


class Fault(NamedTuple):
    """A step, and what happens there.

    Attributes:
        name: Of the step.
        nth: Which step of that name, from 1, of all processes together.
        moment: `BEFORE`, `HALFWAY` or `AFTER`.
        signal: The signal's name, e.g. "SIGKILL".
        to: "group", "launcher", or "self" for the process that takes the step.
    """

    name: str
    nth: int
    moment: str
    signal: str
    to: str


class Watched(NamedTuple):
    """A job whose steps are watched.

    Attributes:
        roots: Folders; what is in them is looked at.
        log: A file outside of them that gets a line for each step.
        fault: What happens; None for nothing.
        launcher: The process that was started, and leads the group.
    """

    roots: tuple[str, ...]
    log: str
    fault: Fault | None
    launcher: int

    def dump(self) -> str:
        """As a value of the environment."""
        return json.dumps(self)

    @staticmethod
    def load(text: str) -> Watched:
        """From a value of the environment."""
        roots, log, fault, launcher = json.loads(text)
        return Watched(tuple(roots), log, None if fault is None else Fault(*fault), launcher)


class Steps:
    """Names steps, counts them, and sends the signal."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        self._open, self._own = os.open, os.getpid()

    def take(self, verb: str, path: Any, call: Callable[[], Any], half: Callable[[], Any] | None = None) -> Any:
        """Takes a step, with what is to happen there; `half` does half of it."""
        name = self._name(verb, path)
        moment = None if name is None else self._reach(name)
        if moment is None:
            return call()
        if moment == BEFORE:
            self._strike()
        if moment == HALFWAY:
            (half or call)()
            self._strike()
            return call() if half is None else None
        try:
            return call()
        finally:
            if moment == AFTER:
                self._strike()

    def _name(self, verb: str, path: Any) -> str | None:
        if not isinstance(path, str | os.PathLike):
            return None
        whole = os.path.abspath(path)  # noqa: PTH100 - Path is replaced below
        for root in self._watched.roots:
            if whole.startswith(f"{root}/"):
                below = whole[len(root) + 1 :]
                role = next((role for pattern, role in ROLES if pattern.fullmatch(below)), "file")
                return f"{verb} {role} in {_caller()}"
        return None

    def _reach(self, name: str) -> str | None:
        """Notes the step; gives the moment at which something is to happen."""
        log = self._open(self._watched.log, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        try:
            fcntl.flock(log, fcntl.LOCK_EX)
            nth = os.pread(log, 1 << 24, 0).decode().splitlines().count(name) + 1
            os.write(log, f"{name}\n".encode())
        finally:
            os.close(log)
        fault = self._watched.fault
        return fault.moment if fault is not None and (fault.name, fault.nth) == (name, nth) else None

    def _strike(self) -> None:
        fault, launcher = self._watched.fault, self._watched.launcher
        assert fault is not None
        number = signal.Signals[fault.signal]
        with open(f"{self._watched.log}.struck", "w") as told:  # noqa: PTH123 - Path is replaced below
            told.write(f"{os.getpid()}")
        if fault.to == "group":
            os.killpg(launcher, number)
        else:
            os.kill(launcher if fault.to == "launcher" else os.getpid(), number)
        if os.getpid() != launcher or threading.current_thread() is not threading.main_thread():
            time.sleep(HOLD)


def _caller() -> str:
    """The function of the product that takes the step, below those that know the file system alone."""
    frame: Any = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if PACKAGES.search(file) and "/site-packages/" not in file:
            return f"{pathlib.PurePath(file).stem}.{frame.f_code.co_name}"
        frame = frame.f_back
    return "somewhere"


class _Stream:
    """A file that was opened to be written: each write is a step, and its end."""

    def __init__(self, steps: Steps, path: Any, stream: Any) -> None:
        self._steps, self._path, self._stream = steps, path, stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __enter__(self) -> _Stream:
        self._stream.__enter__()
        return self

    def __exit__(self, *failure: Any) -> None:
        self.close()

    def write(self, data: Any) -> Any:
        def half() -> None:
            view = data if isinstance(data, str) else memoryview(data).cast("B")
            self._stream.write(view[: len(view) // 2])
            self._stream.flush()

        return self._steps.take("write", self._path, lambda: self._stream.write(data), half)

    def close(self) -> None:
        if not self._stream.closed:
            self._steps.take("close", self._path, self._stream.close)


def watch(watched: Watched) -> None:
    """Watches the steps of this process from now on."""
    steps = Steps(watched)
    _replace_calls(steps)
    _replace_open(steps)
    _replace_spills(steps)


def _replace_calls(steps: Steps) -> None:
    def replace(name: str, verb: str, which: int) -> None:
        """Puts a step around a function of `os`; the argument `which` is the path it is known by."""
        true = getattr(os, name)

        def call(*args: Any, **named: Any) -> Any:
            return steps.take(verb, _place(args[which], named.get("dir_fd")), lambda: true(*args, **named))

        setattr(os, name, call)

    for name, verb, which in (
        ("replace", "rename to", 1),
        ("rename", "rename to", 1),
        ("link", "link to", 1),
        ("unlink", "remove", 0),
        ("remove", "remove", 0),
        ("rmdir", "remove", 0),
        ("mkdir", "make", 0),
        ("fsync", "sync", 0),
    ):
        replace(name, verb, which)
    accessor = getattr(pathlib, "_NormalAccessor", None)  # Python 3.10 has the functions as they were
    for name in ("replace", "rename", "link", "unlink", "rmdir", "mkdir") if accessor is not None else ():
        setattr(accessor, name, staticmethod(getattr(os, name)))


def _place(path: Any, folder: int | None) -> Any:
    """A path, where the call has a descriptor or a path below one."""
    if isinstance(path, int):
        return os.readlink(f"/proc/self/fd/{path}")  # noqa: PTH115 - Path is replaced
    return path if folder is None else f"{os.readlink(f'/proc/self/fd/{folder}')}/{os.fspath(path)}"  # noqa: PTH115


def _replace_open(steps: Steps) -> None:
    true = io.open

    def call(file: Any, mode: str = "r", *args: Any, **named: Any) -> Any:
        if not set(mode) & set("wax+") or isinstance(file, int):
            return true(file, mode, *args, **named)
        if steps._name("open", file) is None:
            return true(file, mode, *args, **named)
        return _Stream(steps, file, steps.take("open", file, lambda: true(file, mode, *args, **named)))

    io.open = builtins.open = call  # type: ignore[assignment]
    if hasattr(pathlib, "_NormalAccessor"):  # Python 3.10
        pathlib._NormalAccessor.open = staticmethod(call)


def _replace_spills(steps: Steps) -> None:
    """Arrow opens and writes files by itself: the steps are to open one, and to put a shard's rows into it."""
    import pyarrow as pa

    from transforms.coders import RecordBatchCoder

    true_file, true_write = pa.OSFile, RecordBatchCoder.write
    paths: dict[int, str] = {}

    def open_file(path: str, mode: str = "r", *args: Any, **named: Any) -> Any:
        if "w" not in mode:
            return true_file(path, mode, *args, **named)
        file = steps.take("open", path, lambda: true_file(path, mode, *args, **named))
        paths[id(file)] = path
        return file

    def write(self: Any, batch: Any, file: Any) -> Any:
        path = paths.get(id(file)) if isinstance(file, true_file) else None
        if path is None:
            return true_write(self, batch, file)

        def half() -> None:
            start = file.tell()
            true_write(self, batch, file)
            end = file.tell()
            file.flush()
            os.truncate(path, (start + end) // 2)

        return steps.take("write", path, lambda: true_write(self, batch, file), half)

    pa.OSFile = open_file
    RecordBatchCoder.write = write
