"""What has to be made in the servers before the stages can start.

server ready ─► provision (in a thread) ─► fact
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import boto3
from botocore.config import Config

from local import stack_settings as names
from local.bucket import create_bucket
from local.replayed_streams import overview, streams_yaml
from local.stack_plan import BUCKET, STREAMS, SYMBOLS, TABLES, TOPICS
from local.stack_settings import REPLAY, StackSettings
from local.symbols_known import wait_for_symbols
from local.tables import create_tables
from local.topics import create_topics
from marketdata.errors import LocalError

SDK = Config(proxies={}, connect_timeout=5, read_timeout=20, retries={"mode": "standard"})


@dataclass(frozen=True, slots=True)
class Provision:
    """One fact: the stages that it needs, and the blocking work that makes it true."""

    fact: str
    needs: tuple[str, ...]
    work: Callable[[], None]


def provisions(settings: StackSettings, ports: Mapping[str, int]) -> list[Provision]:
    """The provisions of a start; each may be done again without harm."""
    at = settings.address
    overview_url = f"http://{at}:{ports['exchanges']}"
    database = f"http://{at}:{ports['dynamodb']}"
    replay = settings.mode == REPLAY and settings.streams is None
    return [
        Provision(TOPICS, ("kafka",), partial(create_topics, f"{at}:{ports['kafka']}")),
        Provision(TABLES, ("dynamodb",), partial(_tables, database)),
        Provision(
            BUCKET, ("s3", "s3-lock"), partial(_bucket, settings, f"http://{at}:{ports['s3']}")
        ),
        Provision(
            STREAMS,
            ("exchanges",) if replay else (),
            partial(_streams, settings, overview_url) if replay else _nothing,
        ),
        Provision(SYMBOLS, (TABLES, STREAMS, "capture"), partial(_symbols, settings, database)),
    ]


def _nothing() -> None:
    """The streams file is there already."""


def _session() -> boto3.Session:
    return boto3.Session(
        aws_access_key_id=names.ACCESS_KEY_ID,
        aws_secret_access_key=names.SECRET_ACCESS_KEY,
        region_name=names.REGION,
    )


def _tables(endpoint: str) -> None:
    create_tables(_session().client("dynamodb", endpoint_url=endpoint, config=SDK))


def _symbols(settings: StackSettings, endpoint: str) -> None:
    client = _session().client("dynamodb", endpoint_url=endpoint, config=SDK)
    wait_for_symbols(client, settings.streams_file)


def _bucket(settings: StackSettings, endpoint: str) -> None:
    client = _session().client("s3", endpoint_url=endpoint, config=SDK)
    create_bucket(client, names.BUCKET, settings.objects)


def _streams(settings: StackSettings, overview_url: str) -> None:
    found = overview(overview_url)
    replayed = found.exchanges if found else {}
    if not replayed or not all(each.tickers for each in replayed.values()):
        raise LocalError("the recording has no ticker: give another path to --replay")
    settings.streams_file.write_text(streams_yaml(replayed))
