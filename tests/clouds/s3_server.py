"""A stand-in for S3: moto's server, whose puts wait for each other.

python -m tests.clouds.s3_server: prints the port it listens on, and serves until it is killed.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

from tests.clouds import BUCKET, LOST

if TYPE_CHECKING:
    from collections.abc import Iterable


class OneAtATime:
    """moto looks whether a name is taken and takes it in two steps; behind this they are one, as they are there."""

    def __init__(self) -> None:
        self._app = DomainDispatcherApplication(create_backend_app)
        self._lock = threading.Lock()
        self._seen: set[str] = set()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        name = environ["PATH_INFO"]
        said: list[Any] = []
        with self._lock:
            answer: Iterable[bytes] = list(self._app(environ, lambda *arguments: said.append(arguments)))
            if environ["REQUEST_METHOD"] == "PUT" and LOST in name and name not in self._seen:
                self._seen.add(name)
                said, answer = [("503 Slow Down", [("Content-Length", "0")])], []
        start_response(*said[0])
        return answer


def main() -> None:
    """Serves."""
    httpd = make_server("localhost", 0, OneAtATime(), threaded=True, request_handler=MotoRequestHandler)
    threading.Thread(target=make_bucket, args=(httpd.port,), daemon=True).start()
    httpd.serve_forever()


def make_bucket(port: int) -> None:
    """Makes the bucket as a client would, and says that all is ready."""
    import boto3

    keys = {"aws_access_key_id": "x", "aws_secret_access_key": "x", "region_name": "us-east-1"}
    boto3.client("s3", endpoint_url=f"http://localhost:{port}", **keys).create_bucket(Bucket=BUCKET)
    print(port, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
