"""The archive's bucket, as far as a reader needs it: is an object there, and a link to it."""

import functools
import threading
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from functions.settings import settings
from marketdata.errors import StoreError, StoreUnavailable

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

LINK_LIFE_S = 900
ABSENT = frozenset({"404", "NoSuchKey", "NotFound"})

_making = threading.Lock()


class ArchiveBucket:
    """Reads the archive; needs `s3:GetObject`, and `s3:ListBucket` for an honest 404."""

    def __init__(self, client: "S3Client", bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def link(self, path: str) -> str | None:
        """A link that anybody can use for a quarter of an hour; None if there is no object.

        Raises:
            StoreError: S3 cannot be asked.
        """
        where = {"Bucket": self._bucket, "Key": path}
        try:
            self._client.head_object(Bucket=self._bucket, Key=path)
            return self._client.generate_presigned_url(
                "get_object", Params=where, ExpiresIn=LINK_LIFE_S
            )
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "unknown")
            if code in ABSENT:
                return None
            raise StoreError(f"looking for {path} failed: S3 answered {code}") from error
        except BotoCoreError as error:
            raise StoreUnavailable(
                f"looking for {path} failed: {type(error).__name__}"
            ) from error


def archive_bucket() -> ArchiveBucket:
    """This process's bucket, made when first needed and kept while the function is warm."""
    with _making:
        return _archive_bucket()


@functools.cache
def _archive_bucket() -> ArchiveBucket:
    client = boto3.client(
        "s3",
        config=Config(
            signature_version="s3v4",
            connect_timeout=1,
            read_timeout=3,
            retries={"mode": "standard", "total_max_attempts": 3},
        ),
    )
    return ArchiveBucket(client, settings().having("archive_bucket").archive_bucket)
