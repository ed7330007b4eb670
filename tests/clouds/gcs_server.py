"""A stand-in for Cloud Storage: gcp-storage-emulator, made to obey the preconditions and generations that it ignores.

python -m tests.clouds.gcs_server: prints the port it listens on, and serves until it is killed. It answers one request
after the other, so that looking and putting are one step, as they are there.
"""

from __future__ import annotations

import contextlib
import functools
from http import HTTPStatus, server
from typing import Any
from urllib.parse import quote

from gcp_storage_emulator.handlers import buckets, objects
from gcp_storage_emulator.storage import NotFound, Storage

from tests.clouds import BUCKET, LOST


def obeying(upload: Any) -> Any:
    """Makes an upload obey ifGenerationMatch, and lose the answer to the first upload of some names."""
    seen = set()

    @functools.wraps(upload)
    def checked(request: Any, response: Any, storage: Storage) -> None:
        meta = request.data.get("meta", request.data) if isinstance(request.data, dict) else {}
        name = request.query.get("name", [meta.get("name")])[0]
        expected = request.query.get("ifGenerationMatch")
        try:
            there = storage.get_file_obj(request.params["bucket_name"], name)["generation"]
        except NotFound:
            there = "0"
        if expected and expected[0] != there:
            response.status = HTTPStatus.PRECONDITION_FAILED
            return
        upload(request, response, storage)
        if LOST in name and name not in seen:
            seen.add(name)
            response.status = HTTPStatus.SERVICE_UNAVAILABLE

    return checked


def pinned(download: Any) -> Any:
    """Makes a download give the generation that is asked for, or none: old ones are not kept."""

    @functools.wraps(download)
    def checked(request: Any, response: Any, storage: Storage) -> None:
        asked = request.query.get("generation")
        place = request.params["bucket_name"], request.params["object_id"]
        with contextlib.suppress(NotFound):
            if asked and asked[0] != storage.get_file_obj(*place)["generation"]:
                response.status = HTTPStatus.NOT_FOUND
                return
        download(request, response, storage)

    return checked


def linked(make: Any) -> Any:
    """Makes links to contents hold for every name; the emulator leaves # and % as they are."""

    @functools.wraps(make)
    def quoted(base_url: str, bucket: str, name: str, *more: Any, **named: Any) -> dict[str, Any]:
        made: dict[str, Any] = make(base_url, bucket, name, *more, **named)
        return made | {"mediaLink": made["mediaLink"].replace(name, quote(name, safe=""))}

    return quoted


def main() -> None:
    """Serves."""
    objects._make_object_resource = linked(objects._make_object_resource)
    for name in ("_multipart_upload", "_create_resumable_upload"):
        setattr(objects, name, obeying(getattr(objects, name)))
    objects.download = pinned(objects.download)
    from gcp_storage_emulator.server import RequestHandler  # takes the handlers as they are when it is imported

    storage = Storage(use_memory_fs=True)
    buckets.create_bucket(BUCKET, storage)
    with server.HTTPServer(("localhost", 0), functools.partial(RequestHandler, storage)) as httpd:
        print(httpd.server_port, flush=True)  # noqa: T201
        httpd.serve_forever()


if __name__ == "__main__":
    main()
