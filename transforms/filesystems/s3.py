"""Amazon S3, and what speaks its protocol."""

from __future__ import annotations

import os
import random
import time
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar

from apache_beam.options.pipeline_options import S3Options

from transforms.filesystems.patience import BUSY, CutShort, patience
from transforms.filesystems.ranges import CHECKSUMS, Pinned, RangeStore, overwritten
from transforms.filesystems.store import Found, ObjectStore, split

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

CHUNK = 16 << 20  # of an upload, in memory
DELETED_AT_ONCE = 1000  # the most that S3 takes
ABSENT = ("404", "NoSuchKey", "NotFound")
ATTEMPTS = 5  # at a call, where the environment says nothing: as boto3 has it
CONFLICTS, CONFLICT_SECONDS = 10, 0.3  # of "at the same time as another" before a create-once gives up, with waits


class S3(RangeStore, ObjectStore):
    """Amazon S3: create-once is a put with `If-None-Match: *`; boto3 sends checksums, and the service compares them.

    Calls that fail with 408, 429, 5xx or a broken connection, and those that stall, are repeated as AWS_RETRY_MODE
    and AWS_MAX_ATTEMPTS say. A stream is pinned to an ETag.
    """

    extra: ClassVar[str | None] = "aws"

    def __init__(self, options: Any) -> None:
        """Makes the client that Beam would."""
        import boto3
        from boto3.exceptions import Boto3Error
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError, ClientError

        self.failures = (BotoCoreError, ClientError, Boto3Error, FileNotFoundError, CutShort)
        self.patience = patience()
        given = options.view_as(S3Options)
        self._client = boto3.session.Session().client(
            "s3",
            region_name=given.s3_region_name,
            api_version=given.s3_api_version,
            use_ssl=not given.s3_disable_ssl,
            verify=given.s3_verify,
            endpoint_url=given.s3_endpoint_url,
            aws_access_key_id=given.s3_access_key_id,
            aws_secret_access_key=given.s3_secret_access_key,
            aws_session_token=given.s3_session_token,
            config=Config(connect_timeout=self.patience.timeout, read_timeout=self.patience.timeout),
        )
        self._client.meta.events.register("needs-retry.s3", self._again)

    def _again(self, response: Any = None, attempts: int = 1, **_: Any) -> float | None:
        """Says when to repeat a call that a server or a proxy was too slow to take: boto3 itself does not."""
        most = (self._client.meta.config.retries or {}).get("total_max_attempts", ATTEMPTS)
        too_slow = response is not None and response[0].status_code == 408 and attempts < most
        return random.uniform(0.5, 1) * 2 ** (attempts - 1) if too_slow else None  # noqa: S311 - not all at once

    def stat(self, path: str) -> Found | None:
        """See `Store`."""
        head = self._head(path)
        if head is None:
            return None
        return Found(path, head["ContentLength"], head["LastModified"].timestamp(), head["ETag"].strip('"'))

    def _head(self, path: str, **more: str) -> Any:
        from botocore.exceptions import ClientError

        bucket, name = split(path)
        if not name:
            return None
        try:
            return self._client.head_object(Bucket=bucket, Key=name, **more)
        except ClientError as error:
            if error.response["Error"]["Code"] in ABSENT:
                return None
            raise

    def list_names(self, bucket: str, prefix: str) -> Iterator[Found]:
        """See `ObjectStore`."""
        for page in self._pages(Bucket=bucket, Prefix=prefix):
            for item in page.get("Contents", ()):
                changed, etag = item["LastModified"].timestamp(), item["ETag"].strip('"')
                yield Found(f"s3://{bucket}/{item['Key']}", item["Size"], changed, etag)

    def subfolders(self, folder: str) -> list[str]:
        """See `Store`."""
        bucket, prefix = split(f"{folder.rstrip('/')}/")
        pages = self._pages(Bucket=bucket, Prefix=prefix, Delimiter="/")
        found = [item["Prefix"] for page in pages for item in page.get("CommonPrefixes", ())]
        return [name.removeprefix(prefix).rstrip("/") for name in found]

    def _pages(self, **request: str) -> Any:
        return self._client.get_paginator("list_objects_v2").paginate(**request)

    def pin(self, path: str) -> Pinned | None:
        """See `RangeStore`."""
        head = self._head(path, ChecksumMode="ENABLED")
        if head is None:
            return None
        known = ((name, head.get(f"Checksum{name.upper()}")) for name in CHECKSUMS)
        in_parts = "-" in head["ETag"]  # then it is the sum of sums
        whole = None if in_parts else next(((name, kept) for name, kept in known if kept is not None), None)
        return Pinned(head["ContentLength"], head["ETag"], whole)

    def fetch(self, path: str, start: int, stop: int, pinned: Pinned | None) -> bytes:
        """See `RangeStore`."""
        from botocore.exceptions import BotoCoreError, ClientError

        bucket, name = split(path)
        one_version = {} if pinned is None else {"IfMatch": pinned.version}
        try:
            got = self._client.get_object(Bucket=bucket, Key=name, Range=f"bytes={start}-{stop - 1}", **one_version)
        except ClientError as error:
            if _status(error) == 412:
                raise overwritten(path) from error
            raise
        try:
            data: bytes = got["Body"].read()
        except BotoCoreError as error:  # which boto3 leaves to others
            raise CutShort(str(error)) from error
        return data

    def write(self, path: str, data: bytes) -> None:
        """See `Store`."""
        bucket, name = split(path)
        self._client.put_object(Bucket=bucket, Key=name, Body=data)

    def upload(self, path: str, stream: BinaryIO, size: int) -> None:
        """See `ObjectStore`."""
        from boto3.s3.transfer import TransferConfig

        bucket, name = split(path)
        one_by_one = TransferConfig(multipart_threshold=CHUNK, multipart_chunksize=CHUNK, use_threads=False)
        # boto3 closes what it has uploaded, and the stream is not ours to close.
        with os.fdopen(os.dup(stream.fileno()), "rb") as same:
            self._client.upload_fileobj(same, bucket, name, Config=one_by_one)

    def create_once(self, path: str, data: bytes, scratch: str) -> bool:
        """See `Store`; where a call succeeded and its answer was lost, the repeated one finds a file and says False."""
        from botocore.exceptions import ClientError

        bucket, name = split(path)
        for left in reversed(range(CONFLICTS)):
            try:
                self._client.put_object(Bucket=bucket, Key=name, Body=data, IfNoneMatch="*")
            except ClientError as error:
                code = _status(error)
                if code == 412:
                    return False
                if code != 409 or not left:  # at the same time as another, which may yet fail
                    raise
                time.sleep(CONFLICT_SECONDS)
            else:
                return True
        return False

    def delete(self, bucket: str, names: Iterable[str]) -> None:
        """See `ObjectStore`."""
        from boto3.exceptions import Boto3Error

        rest = iter(names)
        while some := [{"Key": name} for name in islice(rest, DELETED_AT_ONCE)]:
            answer = self._client.delete_objects(Bucket=bucket, Delete={"Objects": some, "Quiet": True})
            for failed in answer.get("Errors", ()):
                raise Boto3Error(f"s3://{bucket}/{failed['Key']} was not deleted: {failed['Message']}")

    def may_pass(self, error: Exception) -> bool:
        """See `Store`."""
        from botocore import exceptions
        from botocore.parsers import ResponseParserError

        if isinstance(error, exceptions.ClientError):
            return _status(error) in BUSY
        out_of_reach = (exceptions.ConnectionError, exceptions.HTTPClientError, ResponseParserError)
        return isinstance(error, (CutShort, *out_of_reach))


def _status(error: Any) -> int:
    """What HTTP answered."""
    status: int = error.response["ResponseMetadata"]["HTTPStatusCode"]
    return status
