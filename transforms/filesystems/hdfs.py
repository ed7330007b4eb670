"""The Hadoop file system, over WebHDFS."""

from __future__ import annotations

import io
import math
import posixpath
import uuid
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar, cast

from apache_beam.options.pipeline_options import HadoopFileSystemOptions

from transforms.arrays.errors import ConfigError
from transforms.filesystems.store import READ_BYTES, Found, Ranges, Store, fixed_part, held_back, matcher

if TYPE_CHECKING:
    from collections.abc import Iterator

GONE = "FileNotFoundException"
ATTEMPTS = 4  # to connect, or to read after the namenode said it is busy


class Hdfs(Store):
    """The Hadoop file system: a rename is atomic and refuses a name that is taken, which is the exclusive create.

    Calls that cannot connect, and those that only ask and are answered 502, 503 or 504, are made four times, with
    waits from one second on.
    """

    extra: ClassVar[str | None] = "hdfs"

    def __init__(self, options: Any) -> None:
        """Makes the client that Beam would."""
        import hdfs
        import requests
        from requests.adapters import HTTPAdapter
        from urllib3.util import Retry

        given = options.view_as(HadoopFileSystemOptions)
        missing = [f"--{name}" for name in ("hdfs_host", "hdfs_port", "hdfs_user") if getattr(given, name) is None]
        if missing:
            raise ConfigError(f"needs --hdfs_host, --hdfs_port and --hdfs_user; not given: {', '.join(missing)}")
        session = requests.Session()
        more = Retry(ATTEMPTS - 1, read=0, status_forcelist=(502, 503, 504), allowed_methods=["GET"], backoff_factor=1)
        session.mount("http://", HTTPAdapter(max_retries=more))
        address = f"http://{given.hdfs_host}:{given.hdfs_port}"
        self.failures = (hdfs.HdfsError, requests.RequestException, FileNotFoundError)
        self._client = hdfs.InsecureClient(address, user=given.hdfs_user, session=session)
        self._error = hdfs.HdfsError
        self._full_urls = given.hdfs_full_urls

    def _place(self, path: str) -> str:
        """The path that the namenode knows: with full addresses, what follows the server."""
        rest = path.removeprefix("hdfs:").lstrip("/")
        if self._full_urls:
            rest = rest.partition("/")[2]
        return f"/{rest}"

    def stat(self, path: str) -> Found | None:
        """See `Store`."""
        status = self._client.status(self._place(path), strict=False)
        return None if status is None or status["type"] == "DIRECTORY" else _found(path, status)

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
        try:
            listed: list[tuple[str, dict[str, Any]]] = self._client.list(self._place(folder), status=True)
        except self._error as error:
            if getattr(error, "exception", None) == GONE or self._client.status(self._place(folder), strict=False):
                return []  # there is no such folder, or it is a file
            raise
        return listed

    def subfolders(self, folder: str) -> list[str]:
        """See `Store`."""
        return [name for name, status in self._list(folder.rstrip("/")) if status["type"] == "DIRECTORY"]

    def open(self, path: str) -> BinaryIO:
        """See `Store`."""
        found = self.stat(path)
        if found is None:
            raise FileNotFoundError(f"there is no file {path}")
        stream = Ranges(found.bytes, lambda start, stop: self.read_range(path, start, stop - start))
        return cast("BinaryIO", io.BufferedReader(stream, READ_BYTES))

    def read_range(self, path: str, start: int, size: int) -> bytes:
        """See `Store`."""
        with self._client.read(self._place(path), offset=start, length=size) as stream:
            data: bytes = stream.read()
        return data

    def write(self, path: str, data: bytes) -> None:
        """See `Store`."""
        self._client.write(self._place(path), data=data, overwrite=True)

    @contextmanager
    def publish(self, path: str, scratch: str) -> Iterator[BinaryIO]:
        """See `Store`."""
        with held_back() as stream:
            yield stream
            size = stream.tell()
            stream.seek(0)
            if self._put(path, stream, scratch):
                return
            there = self.stat(path)
            if there is None or there.bytes != size:  # else a try before put the same there
                stream.seek(0)
                self.remove_file(path)
                self._put(path, stream, scratch)

    def create_once(self, path: str, data: bytes, scratch: str) -> bool:
        """See `Store`."""
        return self._put(path, data, scratch)

    def _put(self, path: str, data: BinaryIO | bytes, scratch: str) -> bool:
        """Writes a file under a name of its own and renames it; False where there is a file of that name already."""
        own, place = f"{self._place(scratch)}/{uuid.uuid4().hex}", self._place(path)
        self._client.write(own, data=data, overwrite=False)
        try:
            self._client.makedirs(posixpath.dirname(place))
            try:
                self._client.rename(own, place)
            except self.failures:
                if self.stat(path) is None:
                    raise
                # The name was taken; or all went well and the answer was lost: then our own file has gone there.
                return self._client.status(own, strict=False) is None
            return True
        finally:
            with suppress(*self.failures):
                self._client.delete(own)

    def remove_file(self, path: str) -> None:
        """See `Store`."""
        self._client.delete(self._place(path))

    def remove_folder(self, path: str) -> None:
        """See `Store`."""
        self._client.delete(self._place(path), recursive=True)


def _found(path: str, status: dict[str, Any]) -> Found:
    return Found(path, status["length"], status["modificationTime"] / 1000)
