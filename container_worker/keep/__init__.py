"""Stage `keep`: deadlines, heartbeats and late deliveries of the clients' connections."""

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from container_worker import log
from container_worker.keep.acting import PARALLEL, Acting
from container_worker.keep.connections import Connections
from container_worker.keep.decisions import Flows
from container_worker.keep.deeds import Deeds
from container_worker.keep.following import Following
from container_worker.keep.ids import write_ids
from container_worker.keep.late import LateItems
from container_worker.keep.lease import Lease
from container_worker.keep.management import Management
from container_worker.keep.newest import Newest
from container_worker.keep.revoked import RevokedKeys
from container_worker.keep.stage import Keep
from container_worker.keep.store_errors import dynamodb
from container_worker.settings import KeepSettings

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


def run(settings: KeepSettings, stop: threading.Event) -> int:
    """Keeps the clients' connections until `stop`; the exit code.

    Kafka, DynamoDB and the gateway may be away at any time, at the start too.

    Raises:
        TopicMismatch: a followed topic is not as `marketdata.topics` says.
        BrokerError: Kafka refuses; StoreError: a table does, or is not there.
    """
    client, newest = dynamodb(), Newest()
    ids = partial(write_ids, settings.kafka, client, settings.ring_table)
    following = Following(settings.kafka, newest, ids)
    keep = _keep(settings, client, newest, following.flows)
    following.start()
    log.event("keep.started", stages=sorted(settings.callback_urls))
    try:
        keep.run(stop)
    finally:
        keep.close()
        following.close()
    log.event("keep.ended", counts=keep.report())
    return 0


def _keep(
    settings: KeepSettings,
    client: "DynamoDBClient",
    newest: Newest,
    flows: Callable[[], Flows],
) -> Keep:
    table = settings.connections_table
    lease = Lease(client, table, patience_s=settings.times.takeover_s)
    connections, late = Connections(client, table), LateItems(client, table)
    deeds = Deeds(
        connections=connections,
        late=late,
        management=Management(settings.callback_urls, PARALLEL),
        newest=newest,
        clock_ms=_now_ms,
    )
    return Keep(
        times=settings.times,
        stages=settings.callback_urls,
        lease=lease,
        connections=connections,
        late=late,
        revoked=RevokedKeys(client, settings.keys_table),
        acting=Acting(deeds, lease.acts),
        flows=flows,
        clock_ms=_now_ms,
    )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
