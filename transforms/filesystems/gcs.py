"""Google Cloud Storage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar

from transforms.filesystems.store import READ_BYTES, Found, ObjectStore, split

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

CHUNK = 16 << 20  # of an upload, in memory


class Gcs(ObjectStore):
    """Google Cloud Storage: create-once is an upload for generation 0, and every upload is checked by its crc32c.

    Calls that fail with 408, 429, 5xx or a broken connection are repeated, with waits that double from one second to
    one minute, for two minutes.
    """

    extra: ClassVar[str | None] = "gcp"

    def __init__(self, options: Any) -> None:
        """Makes the client that Beam would, with the same credentials."""
        import requests
        from apache_beam.io.gcp import gcsio
        from google.api_core.exceptions import GoogleAPIError
        from google.auth.exceptions import GoogleAuthError
        from google.cloud.storage.exceptions import DataCorruption, InvalidResponse
        from google.cloud.storage.retry import DEFAULT_RETRY

        self.failures = (GoogleAPIError, GoogleAuthError, InvalidResponse, DataCorruption, requests.RequestException)
        self._client = gcsio.create_storage_client(options)
        self._io = gcsio.GcsIO(self._client, options)
        self._retry = DEFAULT_RETRY

    def stat(self, path: str) -> Found | None:
        """See `Store`."""
        bucket, name = split(path)
        blob = self._client.bucket(bucket).get_blob(name, retry=self._retry) if name else None
        return None if blob is None else _found(path, blob)

    def list_names(self, bucket: str, prefix: str) -> Iterator[Found]:
        """See `ObjectStore`."""
        fields = "items(name,size,updated,crc32c),nextPageToken"
        for blob in self._client.list_blobs(bucket, prefix=prefix, fields=fields, retry=self._retry):
            yield _found(f"gs://{bucket}/{blob.name}", blob)

    def subfolders(self, folder: str) -> list[str]:
        """See `Store`."""
        bucket, prefix = split(f"{folder.rstrip('/')}/")
        fields = "prefixes,nextPageToken"
        pages = self._client.list_blobs(bucket, prefix=prefix, delimiter="/", fields=fields, retry=self._retry)
        for _ in pages:
            pass  # the folders are known when all pages have been read
        return [found.removeprefix(prefix).rstrip("/") for found in pages.prefixes]

    def open(self, path: str) -> BinaryIO:
        """Opens a file as Beam does, but not with a new client for each."""
        stream: BinaryIO = self._io.open(path, "rb", read_buffer_size=READ_BYTES)
        return stream

    def read_range(self, path: str, start: int, size: int) -> bytes:
        """See `Store`."""
        data: bytes = self._blob(path).download_as_bytes(start=start, end=start + size - 1, retry=self._retry)
        return data

    def write(self, path: str, data: bytes) -> None:
        """See `Store`."""
        self._blob(path).upload_from_string(data, "application/octet-stream", checksum="crc32c", retry=self._retry)

    def upload(self, path: str, stream: BinaryIO, size: int) -> None:
        """See `ObjectStore`."""
        self._blob(path).upload_from_file(stream, size=size, checksum="crc32c", retry=self._retry)

    def create_once(self, path: str, data: bytes, scratch: str) -> bool:
        """See `Store`; where a call succeeded and its answer was lost, the repeated one finds a file and says False."""
        from google.api_core.exceptions import PreconditionFailed

        kind = "application/json" if path.endswith(".json") else "application/octet-stream"
        try:
            self._blob(path).upload_from_string(data, kind, if_generation_match=0, checksum="crc32c", retry=self._retry)
        except PreconditionFailed:
            return False
        return True

    def delete(self, bucket: str, names: Iterable[str]) -> None:
        """See `ObjectStore`."""
        from google.api_core.exceptions import GoogleAPIError

        for path, code in self._io.delete_batch([f"gs://{bucket}/{name}" for name in names]):
            if code is not None:
                raise GoogleAPIError(f"{path} was not deleted: HTTP {code}")

    def _blob(self, path: str) -> Any:
        bucket, name = split(path)
        return self._client.bucket(bucket).blob(name, chunk_size=CHUNK)


def _found(path: str, blob: Any) -> Found:
    return Found(path, blob.size, blob.updated.timestamp(), blob.crc32c)
