"""stellar-sdk's SorobanServer: the address is its argument, nothing else is given."""

from answering import addresses, answer_plainly
from stellar_sdk import SorobanServer, scval, xdr
from stellar_sdk.exceptions import SorobanRpcErrorResponse
from stellar_sdk.soroban_rpc import EventFilter, EventFilterType

server = SorobanServer(addresses()["stellar"]["rest"])
TRANSFER = scval.to_symbol("transfer").to_xdr()


def events(start_ledger, cursor, limit, topics):
    """A page; topics are told as XDR text, and what they hold natively."""
    wanted = EventFilter(event_type=EventFilterType.CONTRACT, topics=topics) if topics else None
    try:
        page = server.get_events(
            start_ledger, None, [wanted] if wanted else None, cursor=cursor, limit=limit
        )
    except SorobanRpcErrorResponse as error:
        return {"code": error.code, "message": error.message}
    return {
        "cursor": page.cursor,
        "latest": page.latest_ledger,
        "events": [_event(each) for each in page.events],
    }


def _event(event):
    topics = [xdr.SCVal.from_xdr(topic) for topic in event.topic]
    return {
        "id": event.id,
        "ledger": event.ledger,
        "contract": event.contract_id,
        "first": scval.to_native(topics[0]),
        "topic": event.topic,
        "value": event.value,
        "native": str(scval.to_native(event.value)),
    }


answer_plainly(
    {
        "health": lambda: server.get_health().model_dump(),
        "network": lambda: server.get_network().model_dump(),
        "latest": lambda: server.get_latest_ledger().model_dump(),
        "version": lambda: server.get_version_info().model_dump(),
        "events": events,
        "transfer": lambda: TRANSFER,
    }
)
