"""`tapedeck archive verify` and `tapedeck archive list`."""

from typing import TYPE_CHECKING, Annotated

import typer

from container_worker import settings
from container_worker.archive.inventory import inventory
from container_worker.archive.verify import Verdict, verify
from container_worker.object_store import ObjectStore, s3_client
from container_worker.settings import KafkaSettings
from local import run_file
from local.stack_settings import ACCESS_KEY_ID, BUCKET, REGION, SECRET_ACCESS_KEY
from marketdata.errors import InputError
from tapedeck.options import DEFAULT_DATA, DataOption, data_folder

if TYPE_CHECKING:
    from pathlib import Path

BootstrapOption = Annotated[
    str, typer.Option("--bootstrap", metavar="HOST:PORT", help="Kafka, if not the stack's.")
]
S3Option = Annotated[
    str, typer.Option("--s3", metavar="URL", help="The object store, if not the stack's.")
]
BucketOption = Annotated[str, typer.Option("--bucket", help="The archive's bucket.")]

_LOCAL = (ACCESS_KEY_ID, SECRET_ACCESS_KEY, REGION)

NOT_ASKED = "not asked"
"""Given for Kafka's address by what reads only the bucket."""
FAILED = (Verdict.DIFFERS, Verdict.MISSING)


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    commands = typer.Typer(help="Look at the archive.", no_args_is_help=True)
    commands.command("verify")(run_verify)
    commands.command("list")(run_list)
    app.add_typer(commands, name="archive")


def run_verify(
    data: DataOption = DEFAULT_DATA,
    bootstrap: BootstrapOption = "",
    s3: S3Option = "",
    bucket: BucketOption = "",
) -> None:
    """Rebuild every object from Kafka and compare; exit 1 when one differs or is missing."""
    kafka, store = places(data, bootstrap, s3, bucket)
    counts = dict.fromkeys(Verdict, 0)
    for finding in verify(kafka, store):
        counts[finding.verdict] += 1
        print(finding)
    print(", ".join(f"{count} {verdict.value}" for verdict, count in counts.items() if count))
    if any(counts[verdict] for verdict in FAILED):
        raise typer.Exit(1)


def run_list(
    data: DataOption = DEFAULT_DATA, s3: S3Option = "", bucket: BucketOption = ""
) -> None:
    """List every object: open or closed, its rows, whether its compressed copy is current."""
    _, store = places(data, NOT_ASKED, s3, bucket)
    for one in inventory(store):
        state = "closed" if one.closed else "open"
        copy = "gz" if one.copied else "--"
        print(f"{state:<6}  {copy}  {one.rows:>12} rows  {one.bytes:>14} bytes  {one.path}")


def places(
    data: "Path", bootstrap: str, s3: str, bucket: str
) -> tuple[KafkaSettings, ObjectStore]:
    """Kafka and the bucket: by options, else of the running stack, else by our variables.

    Raises:
        InputError: neither says where they are.
    """
    if bootstrap and s3:
        client = s3_client(s3, _LOCAL)
        return KafkaSettings(bootstrap), ObjectStore(bucket or BUCKET, client)
    folder = data_folder(data)
    run = run_file.read(folder)
    if run is not None and run.urls.get("kafka") and run.urls.get("s3"):
        client = s3_client(s3 or run.urls["s3"], _LOCAL)
        kafka = KafkaSettings(bootstrap or run.urls["kafka"] or "")
        return kafka, ObjectStore(bucket or run.bucket, client)
    variables = settings.environment()
    if variables.get("ARCHIVE_BUCKET"):
        given = settings.read_archive(variables)
        return given.kafka, ObjectStore(bucket or given.bucket, s3_client(s3 or None))
    options = "--s3" if bootstrap == NOT_ASKED else "--bootstrap and --s3"
    raise InputError(
        f"no stack is up on {folder}: start one with `tapedeck up`, or give {options}, or set "
        "the archive's variables (KAFKA_BOOTSTRAP_SERVERS, ARCHIVE_BUCKET)"
    )
