"""The Hadoop file system, over WebHDFS."""

from __future__ import annotations

import math
import posixpath
import uuid
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar, TypeVar

from apache_beam.options.pipeline_options import HadoopFileSystemOptions

from transforms.arrays.errors import ConfigError
from transforms.filesystems.patience import BUSY, CutShort, patience, persist
from transforms.filesystems.ranges import Pinned, RangeStore, overwritten
from transforms.filesystems.store import Found, fixed_part, held_back, matcher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")

GONE = "FileNotFoundException"
LATER = ("StandbyException", "RetriableException", "SafeModeException")  # said by a namenode that is not ready


class Busy(Exception):  # noqa: N818 - named as what a library raises
    """The service says that it cannot answer now."""


class Hdfs(RangeStore):
    """The Hadoop file system: a rename is atomic and refuses a name that is taken, which is the exclusive create.

    Calls that fail with 408, 429, 5xx or a broken connection, and those that stall, are repeated: see
    `transforms.filesystems.patience`. A stream is pinned to a size and a time of change.
    """

    extra: ClassVar[str | None] = "hdfs"

    def __init__(self, options: Any) -> None:
        """Makes the client that Beam would."""
        import hdfs
        import requests
        import urllib3

        given = options.view_as(HadoopFileSystemOptions)
        missing = [f"--{name}" for name in ("hdfs_host", "hdfs_port", "hdfs_user") if getattr(given, name) is None]
        if missing:
            raise ConfigError(f"needs --hdfs_host, --hdfs_port and --hdfs_user; not given: {', '.join(missing)}")
        self.patience = patience()
        session = requests.Session()
        session.hooks["response"].append(_refuse_busy)
        address = f"http://{given.hdfs_host}:{given.hdfs_port}"
        # What breaks off while a body is read comes as urllib3 has it.
        self._broken = (requests.RequestException, urllib3.exceptions.HTTPError, Busy, CutShort)
        self.failures = (hdfs.HdfsError, FileNotFoundError, *self._broken)
        self._client = hdfs.InsecureClient(
            address, user=given.hdfs_user, session=session, timeout=self.patience.timeout
        )
        self._error = hdfs.HdfsError
        self._full_urls = given.hdfs_full_urls

    def may_pass(self, error: Exception) -> bool:
        """See `Store`."""
        return isinstance(error, self._broken) or getattr(error, "exception", None) in LATER

    def _persist(self, call: Callable[[], T]) -> T:
        return persist(call, self.may_pass, self.patience.seconds)

    def _place(self, path: str) -> str:
        """The path that the namenode knows: with full addresses, what follows the server."""
        rest = path.removeprefix("hdfs:").lstrip("/")
        if self._full_urls:
            rest = rest.partition("/")[2]
        return f"/{rest}"

    def stat(self, path: str) -> Found | None:
        """See `Store`."""
        status = self._persist(lambda: self._status(self._place(path)))
        return None if status is None or status["type"] == "DIRECTORY" else _found(path, status)

    def _status(self, place: str) -> dict[str, Any] | None:
        """Looks at a file or folder; the library's own `strict=False` takes every refusal for "there is none"."""
        try:
            status: dict[str, Any] = self._client.status(place)
        except self._error as error:
            if getattr(error, "exception", None) == GONE:
                return None
            raise
        return status

    def find(self, pattern: str) -> Iterator[Found]:
        """Looks into every folder that can match; Beam looks into the first alone."""
        fixed, matches = fixed_part(pattern), matcher(pattern)
        if fixed == pattern and not pattern.endswith("/"):
            found = self.stat(pattern)
            yield from () if found is None else (found,)
            return
        deepest = math.inf if "**" in pattern else sum(map(pattern.count, "/?["))
        walked = self._walk(fixed.rpartition("/")[0], deepest)
        yield from (found for found in walked if not found.is_folder and matches(found.path))

    def walk(self, folder: str) -> Iterator[Found]:
        """See `Store`."""
        return self._walk(folder.rstrip("/"), math.inf)

    def _walk(self, folder: str, deepest: float) -> Iterator[Found]:
        for name, status in self._list(folder):
            path = f"{folder}/{name}"
            if status["type"] != "DIRECTORY":
                yield _found(path, status)
                continue
            yield Found(f"{path}/", 0, status["modificationTime"] / 1000)
            if path.count("/") < deepest:
                yield from self._walk(path, deepest)

    def _list(self, folder: str) -> list[tuple[str, dict[str, Any]]]:
        return self._persist(lambda: self._list_once(self._place(folder)))

    def _list_once(self, place: str) -> list[tuple[str, dict[str, Any]]]:
        try:
            listed: list[tuple[str, dict[str, Any]]] = self._client.list(place, status=True)
        except self._error:
            about = self._status(place)
            if about is None or about["type"] != "DIRECTORY":
                return []  # there is no such folder, or it is a file
            raise
        return listed

    def subfolders(self, folder: str) -> list[str]:
        """See `Store`."""
        return [name for name, status in self._list(folder.rstrip("/")) if status["type"] == "DIRECTORY"]

    def pin(self, path: str) -> Pinned | None:
        """See `RangeStore`."""
        found = self.stat(path)
        return None if found is None else Pinned(found.bytes, found.changed)

    def fetch(self, path: str, start: int, stop: int, pinned: Pinned | None) -> bytes:
        """See `RangeStore`; a file that was opened is looked at again behind each range."""

        def read() -> bytes:
            with self._client.read(self._place(path), offset=start, length=stop - start) as stream:
                data: bytes = stream.read()
            return data

        try:
            data = self._persist(read)
        except self._error as error:  # of one that was overwritten the range may not be there
            if pinned is not None and self.pin(path) != pinned:
                raise overwritten(path) from error
            raise
        if pinned is not None and self.pin(path) != pinned:
            raise overwritten(path)
        return data

    def write(self, path: str, data: bytes) -> None:
        """See `Store`."""
        self._upload(self._place(path), data, len(data))

    def _upload(self, place: str, data: BinaryIO | bytes, size: int) -> None:
        """Writes a file, in the place of what is there, and looks whether all of it has come."""

        def upload() -> None:
            if not isinstance(data, bytes):
                data.seek(0)
            self._client.write(place, data=data, overwrite=True)
            about = self._status(place)
            came = "nothing" if about is None else f"{about['length']} bytes"
            if came != f"{size} bytes":
                raise CutShort(f"{came} came of {size}")

        self._persist(upload)

    @contextmanager
    def publish(self, path: str, scratch: str) -> Iterator[BinaryIO]:
        """See `Store`."""
        with held_back() as stream:
            yield stream
            size = stream.tell()
            if self._put(path, stream, size, scratch):
                return
            there = self.stat(path)
            if there is None or there.bytes != size:  # else a try before put the same there
                self.remove_file(path)
                self._put(path, stream, size, scratch)

    def create_once(self, path: str, data: bytes, scratch: str) -> bool:
        """See `Store`."""
        return self._put(path, data, len(data), scratch)

    def _put(self, path: str, data: BinaryIO | bytes, size: int, scratch: str) -> bool:
        """Writes a file under a name of its own and renames it; False where there is a file of that name already."""
        own, place = f"{self._place(scratch)}/{uuid.uuid4().hex}", self._place(path)
        try:
            self._upload(own, data, size)
            self._persist(lambda: self._client.makedirs(posixpath.dirname(place)))
            return self._persist(lambda: self._rename(own, place))
        finally:
            with suppress(*self.failures):
                self._client.delete(own)

    def _rename(self, own: str, place: str) -> bool:
        """Renames a file of our own; False where the name is taken by another's."""
        try:
            self._client.rename(own, place)
        except self.failures:
            if self._status(place) is None:
                raise
            # The name was taken; or all went well and the answer was lost: then our own file has gone there.
            return self._status(own) is None
        return True

    def remove_file(self, path: str) -> None:
        """See `Store`."""
        self._persist(lambda: self._client.delete(self._place(path)))

    def remove_folder(self, path: str) -> None:
        """See `Store`."""
        self._persist(lambda: self._client.delete(self._place(path), recursive=True))


def _found(path: str, status: dict[str, Any]) -> Found:
    return Found(path, status["length"], status["modificationTime"] / 1000)


def _refuse_busy(response: Any, **_: Any) -> None:
    """Raises what the library would take for an answer like any other, or for "there is none"."""
    if response.status_code in BUSY:
        said = " ".join(response.text[:200].split())
        response.close()
        raise Busy(f"HTTP {response.status_code} {said or response.reason}")
