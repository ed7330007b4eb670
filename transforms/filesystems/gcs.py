"""Google Cloud Storage."""

from __future__ import annotations

from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar

from transforms.filesystems.patience import CutShort, patience, persist
from transforms.filesystems.ranges import Pinned, RangeStore, overwritten
from transforms.filesystems.store import Found, ObjectStore, split

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

CHUNK = 16 << 20  # of an upload, in memory
DELETED_AT_ONCE = 100  # the most that Cloud Storage takes


class Gcs(RangeStore, ObjectStore):
    """Google Cloud Storage: create-once is an upload for generation 0, and every upload is checked by its crc32c.

    A stream is pinned to a generation. Calls that fail with 408, 429, 5xx or a broken connection, and those that stall,
    are repeated: see `transforms.filesystems.patience`.
    """

    extra: ClassVar[str | None] = "gcp"

    def __init__(self, options: Any) -> None:
        """Makes the client that Beam would, with the same credentials."""
        import requests
        import urllib3
        from apache_beam.io.gcp import gcsio
        from google.api_core.exceptions import GoogleAPIError
        from google.auth.exceptions import GoogleAuthError
        from google.cloud.storage.exceptions import DataCorruption, InvalidResponse
        from google.cloud.storage.retry import DEFAULT_RETRY

        self.failures = (
            GoogleAPIError,
            GoogleAuthError,
            InvalidResponse,
            DataCorruption,
            requests.RequestException,
            urllib3.exceptions.HTTPError,
            ConnectionError,
            FileNotFoundError,
            CutShort,
        )
        self.patience = patience()
        self._client = gcsio.create_storage_client(options)
        again = DEFAULT_RETRY.with_predicate(self.may_pass).with_timeout(self.patience.seconds)
        self._calls = {"timeout": self.patience.timeout, "retry": again}

    def stat(self, path: str) -> Found | None:
        """See `Store`."""
        bucket, name = split(path)
        blob = self._client.bucket(bucket).get_blob(name, **self._calls) if name else None
        return None if blob is None else _found(path, blob)

    def list_names(self, bucket: str, prefix: str) -> Iterator[Found]:
        """See `ObjectStore`."""
        fields = "items(name,size,updated,crc32c),nextPageToken"
        for blob in self._client.list_blobs(bucket, prefix=prefix, fields=fields, **self._calls):
            yield _found(f"gs://{bucket}/{blob.name}", blob)

    def subfolders(self, folder: str) -> list[str]:
        """See `Store`."""
        bucket, prefix = split(f"{folder.rstrip('/')}/")
        fields = "prefixes,nextPageToken"
        pages = self._client.list_blobs(bucket, prefix=prefix, delimiter="/", fields=fields, **self._calls)
        for _ in pages:
            pass  # the folders are known when all pages have been read
        return [found.removeprefix(prefix).rstrip("/") for found in pages.prefixes]

    def pin(self, path: str) -> Pinned | None:
        """See `RangeStore`."""
        bucket, name = split(path)
        blob = self._client.bucket(bucket).get_blob(name, **self._calls) if name else None
        if blob is None:
            return None
        return Pinned(blob.size, blob.generation, None if blob.crc32c is None else ("crc32c", blob.crc32c))

    def fetch(self, path: str, start: int, stop: int, pinned: Pinned | None) -> bytes:
        """See `RangeStore`; the bytes as they are kept, and not unpacked on the way."""
        from google.api_core.exceptions import NotFound

        bucket, name = split(path)
        blob = self._client.bucket(bucket).blob(name, generation=None if pinned is None else pinned.version)
        try:
            data: bytes = blob.download_as_bytes(start=start, end=stop - 1, raw_download=True, **self._calls)
        except NotFound as error:
            if pinned is None:
                raise
            raise overwritten(path) from error
        return data

    def write(self, path: str, data: bytes) -> None:
        """See `Store`."""
        self._blob(path).upload_from_string(data, "application/octet-stream", checksum="crc32c", **self._calls)

    def upload(self, path: str, stream: BinaryIO, size: int) -> None:
        """See `ObjectStore`."""
        self._blob(path).upload_from_file(stream, size=size, checksum="crc32c", **self._calls)

    def create_once(self, path: str, data: bytes, scratch: str) -> bool:
        """See `Store`; where a call succeeded and its answer was lost, the repeated one finds a file and says False."""
        from google.api_core.exceptions import PreconditionFailed

        kind = "application/json" if path.endswith(".json") else "application/octet-stream"
        try:
            self._blob(path).upload_from_string(data, kind, if_generation_match=0, checksum="crc32c", **self._calls)
        except PreconditionFailed:
            return False
        return True

    def delete(self, bucket: str, names: Iterable[str]) -> None:
        """See `ObjectStore`."""
        rest = iter(names)
        while some := list(islice(rest, DELETED_AT_ONCE)):
            persist(partial(self._delete, bucket, some), self.may_pass, self.patience.seconds)

    def _delete(self, bucket: str, names: list[str]) -> None:
        """Deletes a few objects in one request; Beam's own way fails on an answer that is lost."""
        from google.api_core.exceptions import from_http_response

        batch = self._client.batch(raise_exception=False)
        try:
            with batch:
                for name in names:
                    self._client.bucket(bucket).delete_blob(name, timeout=self.patience.timeout)
        except ValueError as error:  # of the answer not all has come, or it is none
            raise CutShort(f"deleting {len(names)} objects was not answered whole: {error}") from error
        for answer in batch._responses:
            if answer.status_code >= 400 and answer.status_code != 404:
                raise from_http_response(answer)

    def may_pass(self, error: Exception) -> bool:
        """See `Store`."""
        import requests
        from google.api_core.exceptions import RetryError
        from google.cloud.storage.retry import _should_retry

        # An answer that is no JSON is one of which half has come, or somebody else's on the way.
        return isinstance(error, CutShort | RetryError | requests.JSONDecodeError) or _should_retry(error)

    def _blob(self, path: str) -> Any:
        bucket, name = split(path)
        return self._client.bucket(bucket).blob(name, chunk_size=CHUNK)


def _found(path: str, blob: Any) -> Found:
    return Found(path, blob.size, blob.updated.timestamp(), blob.crc32c)
