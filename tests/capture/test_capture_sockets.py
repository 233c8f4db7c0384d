"""Capture over real sockets against the simulator, which knows the truth of every book."""

import ssl

import pytest
import trustme

DIFF, TRADES, DEPTH, CANDLES = "ws_diff_depth", "ws_trades", "ws_depth", "ws_candles"


def enough(capture, count=10, ticker="BTCUSDT"):
    return lambda: len(capture.deltas(ticker)) >= count


def more(capture, count=10, ticker="BTCUSDT"):
    """A condition: so many further deltas have come."""
    return enough(capture, len(capture.deltas(ticker)) + count, ticker)


def test_every_type_arrives_in_the_form_of_the_contract(exchange, capture, wait_until) -> None:
    stage = capture(exchange(), ["BTCUSDT", "ETHUSDT"], [DIFF, DEPTH, TRADES, CANDLES])
    for ticker in ("BTCUSDT", "ETHUSDT"):
        wait_until(enough(stage, 10, ticker), what=f"ten deltas of {ticker}")
        for type_ in (DEPTH, TRADES, CANDLES):
            wait_until(
                lambda type_=type_, ticker=ticker: len(stage.messages(type_, ticker)) > 1,
                what=f"{type_} of {ticker}",
            )
        reader = stage.reader(ticker)
        assert (reader.snapshots, reader.holes, reader.gaps) == (1, [], [])
        assert reader.verified
    assert stage.messages(DIFF)[0]["e"] == "depthSnapshot"
    assert stage.messages(DIFF)[0]["E"] == stage.deltas()[0]["E"]
    trades = [one["trade_id"] for one in stage.messages(TRADES) if "trade_id" in one]
    assert trades == list(range(trades[0], trades[0] + len(trades)))
    assert stage.messages(TRADES)[0]["symbol"] == "BTC/USDT"
    assert "started" in stage.statuses()
    assert stage.end() == 0
    assert stage.statuses()[-1] == "interrupted"


def test_a_dropped_frame_is_a_gap_of_exactly_its_ids_then_a_snapshot(
    exchange, capture, wait_until
) -> None:
    venue = exchange()
    stage = capture(venue, ["BTCUSDT", "ETHUSDT"], [DIFF, TRADES])
    wait_until(enough(stage), what="ten deltas")
    number = venue.fault(kind="drop", ticker="BTCUSDT", stream="depth@100ms", frames=2)
    wait_until(lambda: stage.reader().snapshots == 2, what="the second snapshot")
    wait_until(more(stage, 5), what="more deltas")
    reader = stage.reader()
    hits = venue.hits(number)
    lost = (hits[0]["first_id"], hits[-1]["last_id"])
    assert reader.holes == [lost]
    assert [(gap["first"], gap["last"], gap["cause"]) for gap in reader.gaps] == [
        (*lost, "sequence")
    ]
    assert not reader.marked
    assert stage.gaps(DIFF, "ETHUSDT") == []
    assert stage.reader("ETHUSDT").snapshots == 1


def test_a_dropped_trade_is_a_gap_of_its_id(exchange, capture, wait_until) -> None:
    venue = exchange()
    stage = capture(venue, ["BTCUSDT"], [TRADES])
    wait_until(lambda: len(stage.messages(TRADES)) > 5, what="trades")
    number = venue.fault(kind="drop", ticker="BTCUSDT", stream="trade", frames=1)
    wait_until(lambda: stage.gaps(TRADES), what="the gap")
    [gap], [hit] = stage.gaps(TRADES), venue.hits(number)
    assert (gap["first"], gap["last"]) == (hit["first_id"], hit["last_id"])


def test_duplicates_and_reordered_frames_never_give_a_wrong_book(
    exchange, capture, wait_until
) -> None:
    venue = exchange()
    stage = capture(venue, ["BTCUSDT"], [DIFF])
    wait_until(enough(stage), what="ten deltas")
    venue.fault(kind="duplicate", ticker="BTCUSDT", frames=5)
    venue.fault(kind="reorder", ticker="BTCUSDT", stream="depth@100ms", after=8)
    wait_until(lambda: stage.reader().snapshots == 2, what="the book taken again")
    wait_until(more(stage, 5), what="more deltas")
    assert not stage.reader().marked
    assert len(stage.gaps(DIFF)) == 1


@pytest.mark.parametrize("how", ["reset", "close"])
def test_a_cut_connection_comes_back_and_what_was_lost_is_marked(
    exchange, capture, wait_until, how
) -> None:
    venue = exchange()
    stage = capture(venue, ["BTCUSDT", "ETHUSDT"], [DIFF, TRADES, DEPTH])
    wait_until(enough(stage), what="ten deltas")
    wait_until(lambda: stage.messages(DEPTH), what="partial books")
    venue.fault(kind="cut", how=how)
    wait_until(lambda: stage.gaps(DEPTH), what="the gap of the unnumbered books")
    wait_until(more(stage, 15), what="deltas after the cut")
    wait_until(lambda: not stage.reader().marked, what="a book in step")
    reader = stage.reader()
    announced = [(gap["first"], gap["last"]) for gap in reader.gaps]
    assert reader.holes == announced
    assert {gap["cause"] for gap in reader.gaps} <= {"disconnect"}
    unnumbered = stage.gaps(DEPTH)
    assert [(gap["cause"], gap["to"] is None) for gap in unnumbered] == [
        ("disconnect", True),
        ("disconnect", False),
    ]


def test_a_silent_socket_is_replaced_and_the_cause_is_stall(
    exchange, capture, wait_until
) -> None:
    venue = exchange()
    stage = capture(venue, ["BTCUSDT"], [DIFF])
    wait_until(enough(stage), what="ten deltas")
    [connection] = venue.status()["connections"]
    venue.fault(kind="stall", connection=connection["id"], seconds=30)
    wait_until(lambda: stage.gaps(DIFF), what="the gap")
    assert stage.gaps(DIFF)[0]["cause"] == "stall"
    wait_until(lambda: not stage.reader().marked, what="a book in step")
    wait_until(more(stage, 5), what="more deltas")


def test_garbage_goes_to_rejects_whole_and_its_loss_is_marked(
    exchange, capture, wait_until
) -> None:
    venue = exchange()
    stage = capture(venue, ["BTCUSDT"], [DIFF])
    wait_until(enough(stage), what="ten deltas")
    for form in ("text", "truncated", "binary"):
        venue.fault(
            kind="garbage", form=form, replace=True, stream="depth@100ms", ticker="BTCUSDT"
        )
    wait_until(lambda: len(stage.of_topic("rejects")) >= 3, what="three rejects")
    wait_until(more(stage, 10), what="more deltas")
    wait_until(lambda: not stage.reader().marked, what="a book in step")
    reader = stage.reader()
    assert reader.holes == [(gap["first"], gap["last"]) for gap in reader.gaps] != []
    assert {gap["cause"] for gap in reader.gaps} == {"garbage"}
    rejects = stage.of_topic("rejects")
    assert all(reject["reason"] and reject["frame"] for reject in rejects)


def test_server_shutdown_is_followed_without_a_gap(exchange, capture, wait_until) -> None:
    venue = exchange()
    stage = capture(venue, ["BTCUSDT", "ETHUSDT"], [DIFF, TRADES, DEPTH])
    wait_until(enough(stage), what="ten deltas")
    [before] = [one["id"] for one in venue.status()["connections"]]
    venue.fault(kind="server_shutdown", close_after_s=6)
    wait_until(
        lambda: [one["id"] for one in venue.status()["connections"]] not in ([before], []),
        what="a second connection",
    )
    wait_until(
        lambda: before not in [one["id"] for one in venue.status()["connections"]],
        what="the first connection is closed",
    )
    wait_until(more(stage, 20), what="deltas on the new connection")
    for ticker in ("BTCUSDT", "ETHUSDT"):
        for type_ in (DIFF, TRADES, DEPTH):
            assert stage.gaps(type_, ticker) == []
        assert stage.reader(ticker).holes == []
        trades = [
            one["trade_id"] for one in stage.messages(TRADES, ticker) if "trade_id" in one
        ]
        assert trades == list(range(trades[0], trades[0] + len(trades)))


def test_repeated_replacement_never_loses_a_frame(exchange, capture, wait_until) -> None:
    venue = exchange()
    stage = capture(venue, ["BTCUSDT"], [DIFF, TRADES])
    wait_until(enough(stage), what="ten deltas")
    for _ in range(4):
        [before] = [one["id"] for one in venue.status()["connections"]]
        stage.stage._desks[0].replace_sockets()
        wait_until(
            lambda before=before: (
                before not in [one["id"] for one in venue.status()["connections"]]
            ),
            what="the replaced connection is closed",
        )
    wait_until(more(stage, 10), what="more deltas")
    assert stage.reader().holes == []
    assert stage.gaps(TRADES) == []


def test_a_stale_snapshot_is_fetched_again(exchange, capture, wait_until) -> None:
    venue = exchange()
    venue.fault(kind="stale_snapshot", updates=400, requests=1)
    stage = capture(venue, ["BTCUSDT"], [DIFF])
    wait_until(enough(stage, 5), what="five deltas")
    reader = stage.reader()
    assert (reader.snapshots, reader.holes) == (1, [])


def test_429_is_waited_out_and_said_in_one_sentence(exchange, capture, wait_until) -> None:
    venue = exchange()
    venue.fault(kind="refuse", status=429, retry_after_s=1, path="/api/v3/depth", requests=1)
    stage = capture(venue, ["BTCUSDT"], [DIFF])
    wait_until(enough(stage, 5), what="five deltas")
    [said] = {
        event["message"]
        for event in stage.of_topic("queue-events")
        if event["status"] == "error"
    }
    assert "HTTP 429" in said
    assert "trying again in 1 s" in said
    assert said.endswith("goes on")
    assert not stage.reader().marked


def test_451_says_what_to_do_and_tries_again_rarely(exchange, capture, wait_until) -> None:
    venue = exchange()
    venue.fault(kind="refuse", status=451, where="ws", requests=1)
    stage = capture(venue, ["BTCUSDT"], [DIFF])
    wait_until(lambda: "error" in stage.statuses(), what="an error event")
    [said] = {
        event["message"]
        for event in stage.of_topic("queue-events")
        if event["status"] == "error"
    }
    assert "451" in said
    assert "BINANCE_WS_URL" in said
    wait_until(enough(stage, 3), what="capture after the pause")


def test_unknown_tickers_are_named_in_one_sentence(exchange, capture, wait_until) -> None:
    stage = capture(exchange(), ["BTCUSDT", "BTC-USDT", "NONSENSE"], [DIFF])
    wait_until(lambda: stage.error is not None, what="the error")
    assert str(stage.error) == (
        "binance does not list BTC-USDT (did you mean BTCUSDT?), NONSENSE"
    )


def test_a_full_producer_holds_the_socket_back_and_loses_nothing(
    exchange, capture, wait_until
) -> None:
    venue = exchange()
    timing = __import__("capture_rig").FAST
    patient = type(timing)(
        **{name: getattr(timing, name) for name in timing.__slots__}
        | {"room": 20.0, "stall": 30.0}
    )
    stage = capture(venue, ["BTCUSDT"], [DIFF, TRADES], patient)
    wait_until(enough(stage), what="ten deltas")
    stage.producer.full = True
    before = len(stage.deltas())
    target = venue.status()["last_ids"]["BTCUSDT"]["update_id"] + 40
    wait_until(
        lambda: venue.status()["last_ids"]["BTCUSDT"]["update_id"] > target, what="40 ids more"
    )
    assert len(stage.deltas()) == before
    stage.producer.full = False
    wait_until(lambda: stage.reader().last > target, what="the backlog")
    assert stage.reader().holes == []
    assert stage.gaps(TRADES) == []


def test_a_producer_that_stays_full_leaves_a_marked_hole_and_a_right_book(
    exchange, capture, wait_until
) -> None:
    venue = exchange()
    stage = capture(venue, ["BTCUSDT"], [DIFF, TRADES])
    wait_until(enough(stage), what="ten deltas")
    stage.producer.full = True
    wait_until(lambda: stage.gaps(DIFF) and stage.gaps(TRADES), what="open gaps")
    assert stage.gaps(DIFF)[0]["last"] is None
    target = venue.status()["last_ids"]["BTCUSDT"]["update_id"] + 20
    wait_until(
        lambda: venue.status()["last_ids"]["BTCUSDT"]["update_id"] > target, what="20 ids more"
    )
    stage.producer.full = False
    wait_until(lambda: stage.reader().last > target, what="deltas after the outage")
    reader = stage.reader()
    assert not reader.marked
    opened, closed = reader.gaps[0], reader.gaps[-1]
    assert (opened["first"], opened["last"], opened["cause"]) == (
        closed["first"],
        None,
        "backpressure",
    )
    missing = {number for low, high in reader.holes for number in range(low, high + 1)}
    covered = set(range(closed["first"], closed["last"] + 1))
    assert missing <= covered
    assert [(gap["cause"], gap["last"] is None) for gap in stage.gaps(TRADES)] == [
        ("backpressure", True),
        ("backpressure", False),
    ]


def test_a_watermark_comes_once_in_its_time_and_never_goes_back(
    exchange, capture, wait_until
) -> None:
    stage = capture(exchange(), ["BTCUSDT"], [DIFF, TRADES])

    def marks(type_):
        return [one["E"] for one in stage.messages(type_) if one.get("e") == "watermark"]

    wait_until(lambda: len(marks(DIFF)) > 2 and len(marks(TRADES)) > 2, what="watermarks")
    for type_ in (DIFF, TRADES):
        assert marks(type_) == sorted(set(marks(type_)))


def test_tls_works_with_a_certificate_of_ones_own_and_refuses_others(
    exchange, capture, wait_until, tmp_path, monkeypatch
) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    pem, key, trusted = (tmp_path / name for name in ("cert.pem", "key.pem", "ca.pem"))
    issued.cert_chain_pems[0].write_to_path(pem)
    issued.private_key_pem.write_to_path(key)
    authority.cert_pem.write_to_path(trusted)
    context = ssl.create_default_context(cafile=trusted)
    options = ("--tickers", "BTCUSDT", "--tls-cert", pem, "--tls-key", key)
    venue = exchange(*options, tls=context)
    stranger = capture(venue, ["BTCUSDT"], [DIFF])
    wait_until(lambda: "error" in stranger.statuses(), what="an error event")
    assert "is not trusted" in stranger.of_topic("queue-events")[0]["message"]
    assert stranger.end() == 0
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    stage = capture(venue, ["BTCUSDT"], [DIFF])
    wait_until(enough(stage), what="ten deltas over TLS")
    assert stage.reader().verified


@pytest.mark.recordings
def test_the_recorded_midnight_gives_two_days_that_begin_with_a_snapshot(
    exchange, capture, wait_until, recordings
) -> None:
    days = [recordings / "hftbacktest" / f"spot_btcusdt_2024080{day}.gz" for day in (8, 9)]
    venue = exchange("--replay", *days, "--once", "--speed", "80", "--wait-for-subscriber")
    stage = capture(venue, ["BTCUSDT"], [DIFF, TRADES])
    wait_until(lambda: venue.status()["done"], seconds=60, what="the end of the tape")
    last = venue.status()["last_ids"]["BTCUSDT"]
    wait_until(lambda: stage.reader().last == last["update_id"], what="the last delta")
    reader = stage.reader()
    assert (reader.holes, reader.gaps, reader.snapshots, reader.verified) == ([], [], 2, 1)
    kinds = {}
    for message in stage.messages(DIFF):
        if message["e"] != "watermark":
            kinds.setdefault(message["E"] // 86_400_000, []).append(message["e"])
    assert [each[0] for each in kinds.values()] == ["depthSnapshot"] * 2
    trades = [one["trade_id"] for one in stage.messages(TRADES) if "trade_id" in one]
    assert trades == list(range(trades[0], last["trade_id"] + 1))
