"""Posts to connections: outcomes, order, limits, kept connections."""

import asyncio
import threading
import time

import pytest

from functions import posting
from functions.event_loop import LoopThread
from functions.gateway import ManagementApi, Outcome
from functions.posting import ClientPosts
from functions.settings import settings
from functions.signing import Credentials
from marketdata.errors import SettingsError

PONG = b'{"type":"pong","timestamp":"2025-10-10T14:30:00.000Z"}'
ID = "L0SM9cOFvHcCIhw="


def posts_to(endpoint, parallel=8):
    credentials = Credentials("AKID", "secret", "token")
    api = ManagementApi(
        endpoint, region="eu-west-1", credentials=lambda: credentials, parallel=parallel
    )
    return ClientPosts(api, LoopThread())


@pytest.fixture
def posts(management):
    posts = posts_to(management.endpoint)
    yield posts
    posts.close()


@pytest.mark.parametrize(
    ("statuses", "outcome"),
    [
        ([200], Outcome.SENT),
        ([410], Outcome.GONE),
        ([413], Outcome.TOO_LARGE),
        ([429, 200], Outcome.SENT),
        ([429, 429, 200], Outcome.THROTTLED),
        ([500, 200], Outcome.SENT),
        ([500, 503, 200], Outcome.FAILED),
        ([403], Outcome.FORBIDDEN),
        ([404, 404], Outcome.FAILED),
        ([0, 200], Outcome.SENT),
        ([0, 0, 200], Outcome.UNREACHABLE),
    ],
)
def test_every_answer_has_its_outcome(posts, management, statuses, outcome):
    management.answers[ID] = list(statuses)
    assert posts.post(ID, b"{}") is outcome


def test_a_request_is_signed_and_its_id_is_encoded(posts, management):
    posts.post(ID, b'{"a":1}')
    [(path, headers, body)] = management.requests
    assert path == "/stream/@connections/L0SM9cOFvHcCIhw%3D"
    assert body == b'{"a":1}'
    lowered = {name.lower(): value for name, value in headers.items()}
    assert lowered["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKID/")
    assert "/eu-west-1/execute-api/aws4_request" in lowered["authorization"]
    assert lowered["x-amz-security-token"] == "token"


def test_messages_of_a_connection_are_posted_in_order(posts, management):
    texts = [b"%d" % n for n in range(50)]
    deliveries = posts.post_many({f"{n}=": texts for n in range(20)})
    assert all(management.texts(f"{n}=") == texts for n in range(20))
    assert {delivery.sent for delivery in deliveries.values()} == {50}


def test_connections_are_kept_and_shared(posts, management):
    for _ in range(3):
        posts.post_many({f"{n}=": [b"1", b"2"] for n in range(30)})
    assert len(management.requests) == 180
    assert len(management.sockets) <= 8


def test_a_connection_that_the_server_closed_meanwhile_is_replaced(posts, management):
    assert posts.post(ID, b"1") is Outcome.SENT
    management.answers[ID] = [0, 200]
    assert posts.post(ID, b"2") is Outcome.SENT
    assert management.texts(ID) == [b"1", b"2"]


def test_a_message_whose_answer_is_lost_is_sent_once_more_and_no_oftener(posts, management):
    """Over a kept connection as over a new one: it may have been taken each time."""
    assert posts.post(ID, b"1") is Outcome.SENT
    management.answers[ID] = [0, 0, 0, 0, 200]
    assert posts.post(ID, b"2") is Outcome.UNREACHABLE
    assert [body for *_, body in management.requests] == [b"1", b"2", b"2"]
    management.answers[ID] = []
    assert posts.post(ID, b"3") is Outcome.SENT


def test_what_fails_ends_that_connections_messages_alone(posts, management):
    management.answers = {"gone=": [410], "slow=": [200, 429, 429], "large=": [413, 200, 200]}
    deliveries = posts.post_many(
        {name: [b"1", b"2", b"3"] for name in ("gone=", "slow=", "large=", "good=")}
    )
    found = {
        name: (one.last, one.sent, one.skipped, one.too_large)
        for name, one in deliveries.items()
    }
    assert found == {
        "gone=": (Outcome.GONE, 0, 2, 0),
        "slow=": (Outcome.THROTTLED, 1, 1, 0),
        "large=": (Outcome.SENT, 2, 0, 1),
        "good=": (Outcome.SENT, 3, 0, 0),
    }


def test_a_client_that_hangs_costs_nobody_elses_time(posts, management):
    """The others have everything while it hangs: their posts are there before the result is."""
    management.answers = {"dead=": [-1]}
    others = threading.Event()
    management.on_post = lambda *_: len(management.posts) == 40 and others.set()
    messages = {"dead=": [b"1", b"2"], **{f"{n}=": [b"1", b"2"] for n in range(20)}}
    result = []
    work = threading.Thread(
        target=lambda: result.append(posts.post_many(messages, limits_s={"dead=": 60}))
    )
    work.start()
    assert others.wait(20)
    assert not result
    management.waiting.set()
    work.join(20)
    assert result[0]["dead="].sent == 2


def test_a_client_that_hangs_is_left_after_its_limit(posts, management):
    management.answers = {"dead=": [-1]}
    messages = {"dead=": [b"1", b"2"], "good=": [b"1"]}
    deliveries = posts.post_many(messages, limits_s={"dead=": 0.2})
    dead = deliveries["dead="]
    assert (dead.last, dead.sent, dead.skipped) == (Outcome.TIMED_OUT, 0, 1)
    assert deliveries["good="].last is Outcome.SENT


def test_no_post_begins_after_the_deadline(posts, management):
    deliveries = posts.post_many({ID: [b"1"]}, until_s=time.monotonic() - 1)
    assert deliveries[ID].last is Outcome.NOT_TRIED
    assert deliveries[ID].skipped == 1
    assert management.requests == []


def test_a_server_that_is_not_there_is_unreachable():
    posts = posts_to("http://127.0.0.1:9/stream")
    assert posts.post(ID, b"1") is Outcome.UNREACHABLE
    posts.close()


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", "sent"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "failed"),
        (b"HTTP/1.1 410 Gone\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}", "gone"),
        (b"HTTP/1.1 200 OK\r\n\r\n", "unreachable"),
        (b"HTTP/1.1 xyz\r\nContent-Length: 0\r\n\r\n", "unreachable"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "unreachable"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n", "unreachable"),
        (b"x" * 300_000, "unreachable"),
        (b"", "unreachable"),
    ],
)
def test_any_answer_whole_or_in_pieces_has_an_outcome(answer, outcome):
    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        step = max(1, len(answer) // 7)
        for start in range(0, len(answer), step):
            writer.write(answer[start : start + step])
            await writer.drain()
        writer.close()

    async def post():
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        api = ManagementApi(
            f"http://127.0.0.1:{port}",
            region="r",
            credentials=lambda: Credentials("A", "S"),
        )
        found = await api.post(ID, b"{}", limit_s=5)
        api.close()
        server.close()
        return found

    assert asyncio.run(post()).value == outcome


def test_each_stage_has_its_own_management_api_and_one_that_is_not_there_is_named(
    functions, monkeypatch
):
    for stage in ("stream", "ws"):
        assert posting.posts(stage).post(ID, PONG) is Outcome.SENT
        assert posting.posts(stage) is posting.posts(stage)
    assert [path.split("/")[1] for path, *_ in functions.requests] == ["stream", "ws"]
    monkeypatch.delenv("CALLBACK_URL_CANDLES")
    settings.cache_clear()
    with pytest.raises(SettingsError, match="CALLBACK_URL_CANDLES is not set"):
        posting.posts("candles")
