"""A stand-in for HDFS: WebHDFS over a tree in memory; a rename refuses a name that is taken, as the real one does.

python -m tests.clouds.hdfs_server: prints the port it listens on, and serves until it is killed. As there, the
namenode redirects what reads and writes bytes to a datanode, which here is the same server under /data.
"""

from __future__ import annotations

import json
import posixpath
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from tests.clouds import LOST

PREFIX, DATA = "/webhdfs/v1", "/data"


class Tree:
    """Files and folders."""

    def __init__(self) -> None:
        self.files: dict[str, tuple[bytes, int]] = {}
        self.folders: dict[str, int] = {"/": now()}
        self.lost: set[str] = set()

    def make(self, folder: str) -> None:
        """Makes a folder and those above it."""
        while folder not in self.folders:
            if folder in self.files:
                raise Refused(403, "FileAlreadyExistsException", folder)
            self.folders[folder] = now()
            folder = posixpath.dirname(folder)

    def status(self, path: str, suffix: str = "") -> dict[str, Any]:
        """What WebHDFS says of a file or a folder."""
        if path in self.files:
            data, changed = self.files[path]
            return {"pathSuffix": suffix, "type": "FILE", "length": len(data), "modificationTime": changed}
        if path in self.folders:
            return {"pathSuffix": suffix, "type": "DIRECTORY", "length": 0, "modificationTime": self.folders[path]}
        raise Refused(404, "FileNotFoundException", f"File does not exist: {path}")

    def list(self, path: str) -> list[dict[str, Any]]:
        """What WebHDFS lists."""
        if self.status(path)["type"] == "FILE":
            return [self.status(path)]
        names = [name for name in (*self.files, *self.folders) if name != "/" and posixpath.dirname(name) == path]
        return [self.status(name, posixpath.basename(name)) for name in sorted(names)]

    def create(self, path: str, data: bytes, *, overwrite: bool) -> None:
        """Writes a file."""
        if path in self.folders or (path in self.files and not overwrite):
            raise Refused(403, "FileAlreadyExistsException", path)
        self.make(posixpath.dirname(path))
        self.files[path] = (data, now())

    def rename(self, source: str, target: str) -> bool:
        """Moves a file, unless the name is taken or has no folder."""
        if source not in self.files or target in self.files or posixpath.dirname(target) not in self.folders:
            return False
        self.files[target] = self.files.pop(source)
        return True

    def delete(self, path: str, *, recursive: bool) -> bool:
        """Removes a file or a folder."""
        inside = [name for name in (*self.files, *self.folders) if name == path or name.startswith(f"{path}/")]
        if len(inside) > 1 and not recursive:
            raise Refused(403, "PathIsNotEmptyDirectoryException", path)
        for name in inside:
            self.files.pop(name, None)
            self.folders.pop(name, None)
        return bool(inside)


class Refused(Exception):  # noqa: N818 - an answer like any other
    """What WebHDFS answers in the place of a result."""

    def __init__(self, code: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.answer = {"RemoteException": {"exception": kind, "javaClassName": kind, "message": message}}


def now() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


class Handler(BaseHTTPRequestHandler):
    """Namenode and datanode."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or every answer waits 40 ms
    tree = Tree()
    lock = threading.Lock()

    def do_GET(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def do_DELETE(self) -> None:
        self._answer()

    def _answer(self) -> None:
        url = urlsplit(self.path)
        asked, sent = dict(parse_qsl(url.query)), self._body()
        role = DATA if url.path.startswith(DATA) else PREFIX
        path = posixpath.normpath(unquote(url.path.removeprefix(role)) or "/")
        operation = getattr(self, f"{'data' if role == DATA else 'name'}_{asked['op'].lower()}")
        try:
            with self.lock:
                operation(path, asked, sent)
        except Refused as refused:
            self._send(refused.code, refused.answer)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            data = b""
            while size := int(self.rfile.readline(), 16):
                data += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return data
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _send(self, code: int, answer: Any = b"", **headers: str) -> None:
        data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(code)
        self.send_header(
            "Content-Type", "application/octet-stream" if isinstance(answer, bytes) else "application/json"
        )
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def _redirect(self, path: str) -> None:
        self._send(307, Location=f"http://{self.headers['Host']}{DATA}{quote(path)}?{urlsplit(self.path).query}")

    def name_getfilestatus(self, path: str, asked: dict[str, str], sent: bytes) -> None:
        self._send(200, {"FileStatus": self.tree.status(path)})

    def name_liststatus(self, path: str, asked: dict[str, str], sent: bytes) -> None:
        self._send(200, {"FileStatuses": {"FileStatus": self.tree.list(path)}})

    def name_mkdirs(self, path: str, asked: dict[str, str], sent: bytes) -> None:
        self.tree.make(path)
        self._send(200, {"boolean": True})

    def name_delete(self, path: str, asked: dict[str, str], sent: bytes) -> None:
        self._send(200, {"boolean": self.tree.delete(path, recursive=asked.get("recursive", "").lower() == "true")})

    def name_rename(self, path: str, asked: dict[str, str], sent: bytes) -> None:
        target = asked["destination"]
        done = self.tree.rename(path, target)
        if LOST in target and target not in self.tree.lost:
            self.tree.lost.add(target)
            self.close_connection = True  # without an answer
            return
        self._send(200, {"boolean": done})

    def name_open(self, path: str, asked: dict[str, str], sent: bytes) -> None:
        self.tree.status(path)
        self._redirect(path)

    def name_create(self, path: str, asked: dict[str, str], sent: bytes) -> None:
        self._redirect(path)

    def data_open(self, path: str, asked: dict[str, str], sent: bytes) -> None:
        start = int(asked.get("offset", 0))
        data = self.tree.files[path][0][start:]
        self._send(200, data[: int(asked["length"])] if "length" in asked else data)

    def data_create(self, path: str, asked: dict[str, str], sent: bytes) -> None:
        self.tree.create(path, sent, overwrite=asked.get("overwrite", "").lower() == "true")
        self._send(201)

    def log_message(self, *arguments: Any) -> None:
        """Says nothing."""


def main() -> None:
    """Serves."""
    with ThreadingHTTPServer(("localhost", 0), Handler) as httpd:
        print(httpd.server_port, flush=True)  # noqa: T201
        httpd.serve_forever()


if __name__ == "__main__":
    main()
