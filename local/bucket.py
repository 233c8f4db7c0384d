"""The local bucket: made once, and proved to keep metadata (rule 19).

endpoint ─► bucket, probe
"""

import uuid
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from marketdata.errors import LocalError, StoreUnavailable

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PROBE_KEY = "_state/probe"


def create_bucket(client: "S3Client", bucket: str, folder: Path) -> None:
    """Create the bucket if it is missing; write an object with metadata and read it back.

    Args:
        client: A client of the store.
        bucket: The bucket's name.
        folder: Where the objects are, for the sentence.

    Raises:
        LocalError: the folder's file system loses extended attributes.
        StoreUnavailable: the store does not answer.
    """
    nonce = uuid.uuid4().hex
    try:
        with suppress(
            client.exceptions.BucketAlreadyOwnedByYou, client.exceptions.BucketAlreadyExists
        ):
            client.create_bucket(Bucket=bucket)
        client.put_object(
            Bucket=bucket, Key=PROBE_KEY, Body=nonce.encode(), Metadata={"nonce": nonce}
        )
        answer = client.get_object(Bucket=bucket, Key=PROBE_KEY)
        body = answer["Body"].read()
        client.delete_object(Bucket=bucket, Key=PROBE_KEY)
    except (BotoCoreError, ClientError) as error:
        raise StoreUnavailable(f"the object store could not be used: {error}") from error
    if body.decode() != nonce or answer["Metadata"].get("nonce") != nonce:
        raise LocalError(
            f"the file system of {folder} loses the objects' metadata (it keeps no extended "
            "attributes): choose a --data folder on another file system"
        )
