"""Binance.US is the adapter of Binance by its two URLs: its recording, captured to the end."""

import pytest

from container_worker.capture.reach import reach_all
from container_worker.exchange_settings import read_exchanges
from container_worker.variables import Reader

RECORDING = "cryptofeed/BINANCE_US_2021-10-12.ws.1.0"


@pytest.mark.recordings
def test_the_recording_of_binance_us_is_captured_by_the_two_urls(
    recordings, exchange, capture, wait_until
) -> None:
    venue = exchange(
        "--replay", recordings / RECORDING, "--once", "--speed", "40", "--wait-for-subscriber"
    )
    urls = {"BINANCE_WS_URL": f"{venue.ws}/ws", "BINANCE_REST_URL": venue.rest}
    venue.ws, venue.rest = reach_all(read_exchanges(Reader(urls)))["binance"].endpoints
    tickers = venue.status()["tickers"]
    stage = capture(venue, tickers, ["ws_diff_depth"])
    wait_until(lambda: venue.status()["done"], 30, what="the tape's end")
    last = {ticker: one["update_id"] for ticker, one in venue.status()["last_ids"].items()}
    assert len(last) == 4
    for ticker in tickers:
        wait_until(lambda one=ticker: stage.reader(one).last == last[one], what=ticker)
        reader = stage.reader(ticker)
        assert (reader.verified, reader.holes, reader.gaps) == (1, [], [])
        assert reader.deltas
    assert "error" not in stage.statuses()
