"""The one port to S3: objects with conditions, and multipart uploads (rules 14, 15).

    bytes, condition ─► boto3 ─► S3 ─► ETag

Library errors become `marketdata.errors` at this port and nowhere else.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from marketdata.errors import StoreConflict, StoreError, StoreUnavailable

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_CONFLICTS = {"ConditionalRequestConflict", "NoSuchKey", "NoSuchUpload", "PreconditionFailed"}
_CONFLICT_STATUS = {404, 409, 412, 416}
_RETRY_CODES = {"RequestTimeout", "RequestTimeTooSkewed", "SlowDown", "Throttling"}
_RETRY_STATUS = {408, 429, 500, 502, 503, 504, 507}


class ObjectHead(NamedTuple):
    """What an object says of itself."""

    etag: str
    size: int
    metadata: Mapping[str, str]


class Part(NamedTuple):
    """One uploaded part of a multipart upload."""

    number: int
    etag: str


class Upload(NamedTuple):
    """A multipart upload that somebody began."""

    path: str
    id: str
    begun: datetime


def s3_client(
    endpoint: str | None = None, credentials: tuple[str, str, str] | None = None
) -> "S3Client":
    """A client that leaves trying again to us (rule 15): a repeat of its own hides outcomes.

    `endpoint` and `credentials` (key id, secret, region) only where the SDK's own variables do
    not say them.
    """
    key_id, secret, region = credentials or (None, None, None)
    config = Config(
        connect_timeout=3,
        read_timeout=30,
        max_pool_connections=32,
        retries={"mode": "standard", "total_max_attempts": 1},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    return boto3.client(
        "s3",
        config=config,
        endpoint_url=endpoint,
        aws_access_key_id=key_id,
        aws_secret_access_key=secret,
        region_name=region,
    )


class ObjectStore:
    """Objects of one bucket; every method may be called from several threads.

    Every method raises StoreUnavailable where another try may help, StoreConflict where a
    condition did not hold or what it builds on is gone, and StoreError for the rest.
    """

    def __init__(self, bucket: str, client: "S3Client") -> None:
        self.bucket = bucket
        self._s3 = client

    def check(self) -> None:
        """Fails when the bucket is not there or may not be used."""
        with _translated(f"the bucket {self.bucket}"):
            try:
                self._s3.head_bucket(Bucket=self.bucket)
            except ClientError as error:
                if _status(error) == 404:
                    raise StoreError(f"there is no bucket {self.bucket}") from error
                raise

    def head(self, path: str) -> ObjectHead | None:
        """The object's size, ETag and metadata; None when it is not there."""
        with _translated(path):
            try:
                found = self._s3.head_object(Bucket=self.bucket, Key=path)
            except ClientError as error:
                if _status(error) == 404:
                    return None
                raise
        return ObjectHead(found["ETag"], found["ContentLength"], found["Metadata"])

    def read(self, path: str, start: int, end: int, *, etag: str | None = None) -> bytes:
        """The bytes from `start` up to `end`, of that very version when `etag` is given."""
        if start >= end:
            return b""
        span = f"bytes={start}-{end - 1}"
        with _translated(path):
            if etag is None:
                found = self._s3.get_object(Bucket=self.bucket, Key=path, Range=span)
            else:
                found = self._s3.get_object(
                    Bucket=self.bucket, Key=path, Range=span, IfMatch=etag
                )
            data = found["Body"].read()
        if len(data) != end - start:
            raise StoreConflict(f"{path} has another length than its HEAD said")
        return data

    def load(self, path: str) -> tuple[bytes, str] | None:
        """A small object whole, with its ETag; None when it is not there."""
        with _translated(path):
            try:
                found = self._s3.get_object(Bucket=self.bucket, Key=path)
                return found["Body"].read(), found["ETag"]
            except ClientError as error:
                if _code(error) in {"NoSuchKey", "404"}:
                    return None
                raise

    def put(
        self, path: str, data: bytes, metadata: Mapping[str, str], *, base: str | None
    ) -> str:
        """Replaces the version with ETag `base`; None: the first, refused when there is one."""
        with _translated(path):
            if base is None:
                answer = self._s3.put_object(
                    Bucket=self.bucket, Key=path, Body=data, Metadata=metadata, IfNoneMatch="*"
                )
            else:
                answer = self._s3.put_object(
                    Bucket=self.bucket, Key=path, Body=data, Metadata=metadata, IfMatch=base
                )
        return answer["ETag"]

    def put_anyway(self, path: str, data: bytes, metadata: Mapping[str, str]) -> str:
        """Writes without a condition: for what can be made again at any time."""
        with _translated(path):
            answer = self._s3.put_object(
                Bucket=self.bucket, Key=path, Body=data, Metadata=metadata
            )
        return answer["ETag"]

    def begin(self, path: str, metadata: Mapping[str, str]) -> str:
        """Begins a multipart upload; returns its id."""
        with _translated(path):
            begun = self._s3.create_multipart_upload(
                Bucket=self.bucket, Key=path, Metadata=metadata
            )
        return begun["UploadId"]

    def copy_part(
        self, path: str, upload: str, number: int, span: tuple[int, int], *, etag: str
    ) -> Part:
        """Takes the bytes from `span[0]` up to `span[1]` of the present version as a part."""
        with _translated(path):
            copied = self._s3.upload_part_copy(
                Bucket=self.bucket,
                Key=path,
                UploadId=upload,
                PartNumber=number,
                CopySource={"Bucket": self.bucket, "Key": path},
                CopySourceIfMatch=etag,
                CopySourceRange=f"bytes={span[0]}-{span[1] - 1}",
            )
        return Part(number, copied["CopyPartResult"].get("ETag", ""))

    def upload_part(self, path: str, upload: str, number: int, data: bytes) -> Part:
        """Uploads one part."""
        with _translated(path):
            answer = self._s3.upload_part(
                Bucket=self.bucket, Key=path, UploadId=upload, PartNumber=number, Body=data
            )
        return Part(number, answer["ETag"])

    def complete(
        self, path: str, upload: str, parts: Sequence[Part], *, base: str | None
    ) -> str:
        """Puts the parts in place of the version `base`, or of whatever is there (None)."""
        listed = [{"PartNumber": part.number, "ETag": part.etag} for part in parts]
        condition: dict[str, Any] = {} if base is None else {"IfMatch": base}
        with _translated(path):
            answer = self._s3.complete_multipart_upload(
                Bucket=self.bucket,
                Key=path,
                UploadId=upload,
                MultipartUpload={"Parts": listed},  # type: ignore[typeddict-item]
                **condition,
            )
        return answer["ETag"]

    def abort(self, path: str, upload: str) -> None:
        """Throws the parts of an upload away."""
        with _translated(path):
            self._s3.abort_multipart_upload(Bucket=self.bucket, Key=path, UploadId=upload)

    def uploads(self, prefix: str) -> Iterator[Upload]:
        """The multipart uploads that were begun and not ended."""
        with _translated(f"{self.bucket}/{prefix}"):
            answer = self._s3.list_multipart_uploads(Bucket=self.bucket, Prefix=prefix)
        for one in answer.get("Uploads", ()):
            yield Upload(one["Key"], one["UploadId"], one["Initiated"])

    def paths(self, prefix: str) -> Iterator[str]:
        """The keys that begin with `prefix`, in order."""
        with _translated(f"{self.bucket}/{prefix}"):
            pages = self._s3.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self.bucket, Prefix=prefix):
                for one in page.get("Contents", ()):
                    yield one["Key"]


@contextmanager
def _translated(what: str) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        status, code = _status(error), _code(error)
        text = f"{what}: {code} ({status})"
        if code == "NoSuchBucket":
            raise StoreError(f"{what}: there is no such bucket") from error
        if status in _RETRY_STATUS or code in _RETRY_CODES:
            raise StoreUnavailable(text) from error
        if status in _CONFLICT_STATUS or code in _CONFLICTS:
            raise StoreConflict(text) from error
        raise StoreError(text) from error
    except BotoCoreError as error:
        # The library's text for a connection holds the URL, and a signed one is a secret.
        raise StoreUnavailable(f"{what}: {type(error).__name__}") from error


def _status(error: ClientError) -> int:
    return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)


def _code(error: ClientError) -> str:
    return error.response.get("Error", {}).get("Code", "")
