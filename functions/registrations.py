"""Registrations: who is sent which events of a feed (rule 20).

`REG#<feed>#<shard>`/`<id>` holds the filters and from where on they count (`cuts`). Filters
that were replaced stay in `before`: a batch below the cut may still be under way, and goes by
them whenever its push reads this.
"""

import dataclasses
import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from functions.connections import ConnectionsTable
from functions.dynamodb import store_errors
from functions.newcomers import Newcomer
from functions.offsets_by_source import offsets_map, offsets_of
from marketdata.connection_items import Feed, registrations_pk, shard_of
from marketdata.errors import StoreUnavailable
from marketdata.event_filters import FEEDS, Wanted, stored_filters, wanted
from marketdata.ring_items import Source

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

MAX_BEFORE = 4
MAX_READS = 5

Item = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Terms:
    """Filters and where they begin; empty `filters` are none, and want nothing.

    A source that is not in `cuts` has nothing for them; None: everything, as there is no ring.
    """

    filters: str
    cursors: bool
    cuts: Mapping[Source, int] | None

    @property
    def wanted(self) -> Wanted:
        """The filters, understood."""
        return _understood(self.filters)


@dataclass(frozen=True, slots=True)
class Registration:
    """A connection that is registered with a feed; `terms` begins with what counts now."""

    connection_id: str
    stage: str
    connected_ms: int
    terms: tuple[Terms, ...]

    def terms_at(self, source: Source, offset: int) -> Terms | None:
        """What counts for one record; None when it is not for this connection."""
        for terms in self.terms:
            if terms.cuts is None or terms.cuts.get(source, offset + 1) <= offset:
                return terms if terms.filters else None
        return None

    def has_begun(self, source: Source) -> bool:
        """Whether a source is pushed to the connection, by whatever filters."""
        return any(terms.cuts is None or source in terms.cuts for terms in self.terms)

    @classmethod
    def none(cls, newcomer: Newcomer) -> "Registration":
        """That of a connection which is not registered yet."""
        return cls(newcomer.connection_id, newcomer.stage, newcomer.connected_ms, ())


def renewed(
    registration: Registration,
    filters: str,
    *,
    cursors: bool,
    cuts: Mapping[Source, int] | None,
) -> Registration:
    """The same connection with new filters that count from `cuts` on.

    A source that is not in `cuts` goes by the older filters still. Of these those are kept that
    count for anything, the newest four: a batch below them was delivered long ago.
    """
    kept: list[Terms] = []
    ends = dict(cuts or {})
    for terms in registration.terms:
        begins = terms.cuts or {}
        if any(begin != ends.get(at) for at, begin in begins.items()):
            kept.append(terms)
        ends |= begins
    now = Terms(filters, cursors, cuts)
    return dataclasses.replace(registration, terms=(now, *kept[:MAX_BEFORE]))


class RegistrationsTable:
    """Reads and replaces registrations; every method may raise StoreError."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table
        self._connections = ConnectionsTable(client, table)

    def of_feed(self, feed: Feed, shard: int, now_s: int) -> list[Registration]:
        """Who is registered with a feed, from one of its parts, strongly consistent.

        Needs `dynamodb:Query`.
        """
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            ConsistentRead=True,
            KeyConditionExpression="pk = :pk",
            FilterExpression="#exp > :now",
            ExpressionAttributeNames={"#exp": "exp"},
            ExpressionAttributeValues={
                ":pk": {"S": registrations_pk(feed, shard)},
                ":now": {"N": str(now_s)},
            },
        )
        with store_errors("reading the registrations"):
            return [registration_of(item) for page in pages for item in page["Items"]]

    def of_connection(self, connection_id: str) -> dict[Feed, Registration]:
        """What a connection is registered with, by feed; needs `dynamodb:BatchGetItem`."""
        keys = {feed: registration_key(feed, connection_id) for feed in FEEDS}
        feeds = {key["pk"]["S"]: feed for feed, key in keys.items()}
        wanted: Any = {self._table: {"Keys": list(keys.values()), "ConsistentRead": True}}
        found: dict[Feed, Registration] = {}
        for _ in range(MAX_READS):
            with store_errors("reading a registration"):
                answer: Any = self._client.batch_get_item(RequestItems=wanted)
            for item in answer["Responses"].get(self._table, []):
                found[feeds[item["pk"]["S"]]] = registration_of(item)
            wanted = answer["UnprocessedKeys"]
            if not wanted:
                return found
        raise StoreUnavailable("reading a registration failed: DynamoDB left some")

    def commit(
        self,
        newcomer: Newcomer,
        registrations: Mapping[Feed, Registration],
        unchanged: Iterable[Item],
        *,
        resume: bool,
        is_last: bool,
    ) -> bool:
        """Replace registrations of a connection; False when something of `unchanged` changed.

        It counts as registered from the first of these on; until the last one its replay can be
        gone on with. Needs `dynamodb:UpdateItem` and `PutItem`, and `ConditionCheckItem` on the
        ring.
        """
        update = {
            "TableName": self._table,
            "Key": newcomer.key,
            **_progress(newcomer, resume=resume, is_last=is_last),
        }
        items = (_item(feed, one, newcomer.exp_s) for feed, one in registrations.items())
        puts = [{"Put": {"TableName": self._table, "Item": item}} for item in items]
        actions = [{"Update": update}, *puts, *unchanged]
        return self._connections.transact("replacing a registration", actions)


def _progress(newcomer: Newcomer, *, resume: bool, is_last: bool) -> Item:
    """What changes in the connection's item when a registration of it takes effect."""
    change = "SET registered = :yes, #resume = :resume"
    values: Item = {
        ":yes": {"BOOL": True},
        ":resume": {"BOOL": resume},
        ":token": {"S": newcomer.token},
    }
    if is_last:
        change += " REMOVE #start, from_now, queued, dropped, holes, register_token"
        change += ", register_until_ms"
    else:
        change += ", queued = if_not_exists(queued, :none)"
        values[":none"] = {"N": "0"}
    if not is_last and newcomer.start is None:
        # What `$connect` has noted is not where this one began.
        change += ", #start = :nothing, from_now = :yes"
        values[":nothing"] = {"M": {}}
    names = {"#resume": "resume", **({"#start": "start"} if "#start" in change else {})}
    return {
        "UpdateExpression": change,
        "ConditionExpression": "register_token = :token",
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": values,
    }


def registration_key(feed: Feed, connection_id: str) -> Item:
    """The item of a connection's registration with a feed."""
    pk = registrations_pk(feed, shard_of(connection_id))
    return {"pk": {"S": pk}, "sk": {"S": connection_id}}


def _item(feed: Feed, registration: Registration, exp_s: int) -> Item:
    current, *before = registration.terms
    return {
        **registration_key(feed, registration.connection_id),
        "stage": {"S": registration.stage},
        "connected_ms": {"N": str(registration.connected_ms)},
        "exp": {"N": str(exp_s)},
        **_of_terms(current),
        "before": {"L": [{"M": _of_terms(terms)} for terms in before]},
    }


def _of_terms(terms: Terms) -> Item:
    cuts = {} if terms.cuts is None else {"cuts": offsets_map(terms.cuts)}
    return {"filters": {"S": terms.filters}, "cursors": {"BOOL": terms.cursors}, **cuts}


def registration_of(item: Mapping[str, Any]) -> Registration:
    """The registration that an item is."""
    before = [_terms(one["M"]) for one in item.get("before", {}).get("L", [])]
    return Registration(
        item["sk"]["S"],
        item["stage"]["S"],
        int(item["connected_ms"]["N"]),
        (_terms(item), *before),
    )


def _terms(item: Mapping[str, Any]) -> Terms:
    cuts = offsets_of(item["cuts"]) if "cuts" in item else None
    return Terms(item["filters"]["S"], item["cursors"]["BOOL"], cuts)


@functools.lru_cache(maxsize=4096)
def _understood(filters: str) -> Wanted:
    return wanted(stored_filters(filters))
