"""stellar-sdk's SorobanServer on the Stellar simulator: every event, once, and only those."""

import pytest

SERVED = ("stellar",)


@pytest.fixture(scope="module")
def client(clients_python, simulators, start_client):
    return start_client(clients_python, "stellar_sdk_client", simulators.addresses())


@pytest.fixture(scope="module")
def stellar(simulators):
    with simulators["stellar"].standing():
        yield simulators["stellar"]


def paged(client, start, last, *, limit, topics=None):
    """All events from a ledger to another, page after page."""
    events, page = [], client.ask("events", start, None, limit, topics)
    while page["events"] and page["events"][-1]["ledger"] <= last:
        events += page["events"]
        page = client.ask("events", None, page["cursor"], limit, topics)
    return [event for event in events + page["events"] if event["ledger"] <= last]


def told_by_control(stellar, first, last):
    return stellar.get(f"/_control/events?from={first}&to={last}")["events"]


def test_it_reads_health_network_and_version(client, stellar):
    health = client.ask("health")
    assert health["status"] == "healthy"
    assert health["latest_ledger"] == client.ask("latest")["sequence"]
    kept = health["latest_ledger"] - health["oldest_ledger"] + 1
    assert kept == health["ledger_retention_window"]
    assert "Public Global Stellar Network" in client.ask("network")["passphrase"]
    assert (
        client.ask("version")["protocol_version"] == client.ask("network")["protocol_version"]
    )


@pytest.mark.parametrize("limit", [7, 1000])
def test_page_by_page_it_gets_every_event_once(client, stellar, limit):
    latest = client.ask("health")["latest_ledger"]
    true = told_by_control(stellar, latest - 9, latest)
    events = paged(client, latest - 9, latest, limit=limit)
    assert [event["id"] for event in events] == [event["id"] for event in true]
    assert [event["contract"] for event in events] == [event["contractId"] for event in true]
    assert len(events) > 10


def test_what_it_reads_from_the_xdr_is_what_the_json_says(client, stellar):
    latest = client.ask("health")["latest_ledger"]
    firsts = [each["topicJson"][0] for each in told_by_control(stellar, latest - 4, latest)]
    events = paged(client, latest - 4, latest, limit=100)
    assert [{"symbol": event["first"]} for event in events] == firsts
    assert {"transfer", "fee"} <= {event["first"] for event in events}


def test_a_filter_of_topics_gives_those_events_alone(client, stellar):
    latest = client.ask("health")["latest_ledger"]
    topics = [[client.ask("transfer"), "*", "*", "*"], [client.ask("transfer"), "*", "*"]]
    events = paged(client, latest - 9, latest, limit=100, topics=topics)
    everything = paged(client, latest - 9, latest, limit=1000)
    wanted = [each for each in everything if each["first"] == "transfer"]
    assert events == [each for each in wanted if len(each["topic"]) in {3, 4}]
    assert events


def test_a_start_outside_of_the_window_is_the_error_that_it_knows(client, stellar):
    told = client.ask("events", 1, None, 5, None)
    health = client.ask("health")
    assert told["code"] == -32600
    assert str(health["oldest_ledger"]) in told["message"]


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "refuse", "status": 503, "where": "rest"},
        {"kind": "drop", "ticker": "events", "stream": "getEvents"},
    ],
    ids=["refused", "cut off"],
)
def test_after_a_question_that_failed_it_gets_every_event_once(client, stellar, fault):
    latest = client.ask("health")["latest_ledger"]
    number = stellar.fault(**fault)
    events = paged(client, latest - 9, latest, limit=50)
    assert len(stellar.hits(number)) == 1
    true = told_by_control(stellar, latest - 9, latest)
    assert [event["id"] for event in events] == [event["id"] for event in true]
