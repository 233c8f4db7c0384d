"""The ring: what was pushed lately, by source, and up to where (rules 20, 21).

    push: append ─► advance     subscribe, register: heads ─► read ─► head_condition

Bounded by time: each batch has its `exp`, and what has expired counts as absent. A record that
is larger than an item can be is not kept: a reader finds a hole, and what there is around it.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.exceptions import ClientError

from functions.dynamodb import store_errors
from functions.logic.attempts import attempts
from functions.ring_blobs import Kept, Piece, RingRecord, pieces, unpacked
from marketdata.errors import StoreUnavailable
from marketdata.ring_items import HEAD, ID, Source, head_pk, ring_pk, ring_sk, topic_pk

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

__all__ = ["Head", "Kept", "RingRecord", "RingTable"]

KNOWN_FOR_S = 60.0
MAX_ROUNDS = 5
REFUSED = "ConditionalCheckFailedException"
CONFLICT = "TransactionConflictException"

Item = dict[str, Any]


class Head(NamedTuple):
    """Everything of a source below `next` is in the ring, in this life of its topic."""

    next: int
    topic_id: str


class RingTable:
    """Reads and writes the ring; every method may raise StoreError."""

    def __init__(
        self,
        client: "DynamoDBClient",
        table: str,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._table = table
        self._clock = clock
        self._ids: dict[str, tuple[str, float]] = {}

    def append(  # noqa: PLR0917  (one batch, in the order of its keys)
        self,
        source: Source,
        topic_id: str,
        first: int,
        next_: int,
        records: Sequence[RingRecord],
        exp_s: int,
    ) -> None:
        """Keep a batch [first, next_) until `exp_s`; repeating it changes nothing.

        A batch that is delivered again with an earlier end does not shorten what is there.
        Needs `dynamodb:PutItem`.
        """
        for piece in pieces(first, next_, records):
            item = {
                "pk": {"S": ring_pk(source, topic_id)},
                "sk": {"S": ring_sk(piece.first)},
                "next": {"N": str(piece.next)},
                "blob": {"B": piece.blob},
                "exp": {"N": str(exp_s)},
            }
            self._change(
                "keeping a batch",
                self._client.put_item,
                Item=item,
                ConditionExpression="attribute_not_exists(pk) OR #next < :next",
                ExpressionAttributeNames={"#next": "next"},
                ExpressionAttributeValues={":next": item["next"]},
            )

    def advance(self, source: Source, topic_id: str, next_: int) -> None:
        """Say that everything below `next_` is kept; never backwards in one life of a topic.

        Needs `dynamodb:UpdateItem`.
        """
        self._change(
            "moving a head",
            self._client.update_item,
            Key=_head_key(source),
            UpdateExpression="SET #next = :next, topic_id = :id",
            ConditionExpression="attribute_not_exists(pk) OR topic_id <> :id OR #next < :next",
            ExpressionAttributeNames={"#next": "next"},
            ExpressionAttributeValues={":next": {"N": str(next_)}, ":id": {"S": topic_id}},
        )

    def heads(self, sources: Iterable[Source]) -> dict[Source, Head]:
        """Where the sources' heads are now; those that have none are absent.

        At most 100 sources. Needs `dynamodb:BatchGetItem`.
        """
        asked = {head_pk(source): source for source in sources}
        if not asked:
            return {}
        keys = [_head_key(source) for source in asked.values()]
        wanted: Any = {self._table: {"Keys": keys, "ConsistentRead": True}}
        found: dict[Source, Head] = {}
        for _ in range(MAX_ROUNDS):
            with store_errors("reading the heads"):
                answer: Any = self._client.batch_get_item(RequestItems=wanted)
            for item in answer["Responses"].get(self._table, []):
                head = Head(int(item["next"]["N"]), item["topic_id"]["S"])
                found[asked[item["pk"]["S"]]] = head
            wanted = answer["UnprocessedKeys"]
            if not wanted:
                return found
        raise StoreUnavailable("reading the heads failed: DynamoDB left some")

    def head_condition(self, source: Source, head: Head | None) -> Item:
        """An action of a transaction: the head is still that, or still absent for None.

        Needs `dynamodb:ConditionCheckItem`.
        """
        condition: Item = {"ConditionExpression": "attribute_not_exists(pk)"}
        if head is not None:
            condition = {
                "ConditionExpression": "#next = :next AND topic_id = :id",
                "ExpressionAttributeNames": {"#next": "next"},
                "ExpressionAttributeValues": {
                    ":next": {"N": str(head.next)},
                    ":id": {"S": head.topic_id},
                },
            }
        check = {"TableName": self._table, "Key": _head_key(source), **condition}
        return {"ConditionCheck": check}

    def read(self, source: Source, topic_id: str, first: int, next_: int, now_s: int) -> Kept:
        """The records of [first, next_) that there are, in their order.

        `first` 0 is the beginning of what there is. Needs `dynamodb:Query`.
        """
        if first >= next_:
            return Kept([], first, whole=True)
        kept = self._chained(source, topic_id, first, next_, now_s)
        if not kept.whole and topic_id != source.topic:
            # Until the keeper has written the id, the topic's name stood for it.
            named = self._chained(source, source.topic, first, next_, now_s)
            return named if named.whole or not kept.records else kept
        return kept

    def topic_id(self, topic: str) -> str:
        """The id of a topic's present life, remembered for a minute; its name when unknown.

        Needs `dynamodb:GetItem`.
        """
        known, until = self._ids.get(topic, ("", 0.0))
        if self._clock() < until:
            return known
        key = {"pk": {"S": topic_pk(topic)}, "sk": {"S": ID}}
        with store_errors("reading a topic's id"):
            item = self._client.get_item(TableName=self._table, Key=key).get("Item", {})
        found = item.get("topic_id", {}).get("S", "")
        if not found:
            return topic
        self._ids[topic] = (found, self._clock() + KNOWN_FOR_S)
        return found

    def _chained(
        self, source: Source, topic_id: str, first: int, next_: int, now_s: int
    ) -> Kept:
        pk = ring_pk(source, topic_id)
        begins = self._begin(pk, first)
        kept = chained(self._query(pk, begins, next_, now_s), first, next_)
        if not kept.whole and first and begins != ring_sk(0):
            # Batches that were delivered again in other sizes may overlap.
            kept = chained(self._query(pk, ring_sk(0), next_, now_s), first, next_)
        return kept

    def _begin(self, pk: str, first: int) -> str:
        """The sort key of the last batch that begins at or below an offset."""
        with store_errors("reading the ring"):
            answer = self._client.query(
                TableName=self._table,
                ConsistentRead=True,
                ScanIndexForward=False,
                Limit=1,
                ProjectionExpression="sk",
                KeyConditionExpression="pk = :pk AND sk <= :sk",
                ExpressionAttributeValues={":pk": {"S": pk}, ":sk": {"S": ring_sk(first)}},
            )
        return answer["Items"][0]["sk"]["S"] if answer["Items"] else ring_sk(0)

    def _query(self, pk: str, begins: str, next_: int, now_s: int) -> list[Piece]:
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            ConsistentRead=True,
            KeyConditionExpression="pk = :pk AND sk BETWEEN :first AND :last",
            FilterExpression="#exp > :now",
            ExpressionAttributeNames={"#exp": "exp"},
            ExpressionAttributeValues={
                ":pk": {"S": pk},
                ":first": {"S": begins},
                ":last": {"S": ring_sk(next_ - 1)},
                ":now": {"N": str(now_s)},
            },
        )
        with store_errors("reading the ring"):
            return [_piece(item) for page in pages for item in page["Items"]]

    def _change(self, what: str, change: Callable[..., object], **request: object) -> None:
        """One conditional write; its condition failing means that it was done before."""
        for _ in attempts():
            with store_errors(what):
                try:
                    change(TableName=self._table, **request)
                except ClientError as error:
                    code = error.response["Error"]["Code"]
                    if code == CONFLICT:
                        continue
                    if code != REFUSED:
                        raise
                return
        raise StoreUnavailable(f"{what} failed: transactions held it too long")


def chained(found: Iterable[Piece], first: int, next_: int) -> Kept:
    """What pieces, which come in order, have of [first, next_)."""
    at = since = first
    records: list[RingRecord] = []
    for piece in found:
        if piece.next <= at:
            continue
        if piece.first > at and at:
            since = piece.first
        kept = unpacked(piece.blob)
        records += [record for record in kept if at <= record.offset < next_]
        at = piece.next
    since = since if at >= next_ else next_
    return Kept(records, since, whole=since == first)


def _piece(item: Mapping[str, Any]) -> Piece:
    return Piece(int(item["sk"]["S"]), int(item["next"]["N"]), bytes(item["blob"]["B"]))


def _head_key(source: Source) -> Item:
    return {"pk": {"S": head_pk(source)}, "sk": {"S": HEAD}}
