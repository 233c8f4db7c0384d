"""`record` beside a refused ticker: it is told once a unit, and the others are recorded."""

import threading
from dataclasses import replace

import pytest
import venues_rig
from capture_rig import FAST

from container_worker.exchanges import REGISTRY
from container_worker.record import record
from container_worker.streams_file import Wish
from local.exchanges.recordings import read
from marketdata.instruments import Instrument, symbol_of

GHOST = "GHOST-USD"


@pytest.mark.parametrize("name", ["coinbase", "blockchain"])
def test_a_refused_ticker_does_not_end_the_recording_of_the_others(
    name, tmp_path, wait_until
) -> None:
    good = venues_rig.TICKERS[name]
    adapter = replace(
        REGISTRY[name],
        instruments=None,
        instrument=lambda one: Instrument(name, one, symbol_of(one, ""), one, ""),
    )
    venues = venues_rig.Venues([name])
    reach = {name: replace(venues_rig.reach_of(venues, name), adapter=adapter)}
    wish = Wish("q", name, (good[0], GHOST, good[1]), ("ws_diff_depth", "ws_trades"))
    stop, told, files = threading.Event(), [], []
    thread = threading.Thread(
        target=lambda: files.extend(
            record([wish], reach, tmp_path, stop, told=told.append, timing=FAST)
        )
    )

    def connections():
        return [one["id"] for one in venues.ask(name, "/_control/status")["connections"]]

    thread.start()
    try:
        wait_until(lambda: told, 20, "the refusal to be told")
        [first] = connections()
        venues.fault(name, kind="cut", how="reset")
        wait_until(lambda: first not in connections(), 20, "the end of the connection")
        (path,) = tmp_path.iterdir()
        wait_until(lambda: _frames_of(path, good) == set(good), 20, "frames of both")
    finally:
        stop.set()
        thread.join(20)
        venues.close()
    refused = [one for one in told if f"{name} refuses {GHOST}" in one]
    assert 1 <= len(refused) == len(set(refused)) <= 2, told
    assert files[0].frames > 0


def _frames_of(path, tickers):
    """Those of the tickers of which the last socket of a recording brought something."""
    lines = [line for line in read(path) if line.kind == "frame"]
    last = max((line.connection for line in lines), default=0)
    texts = [line.payload.decode() for line in lines if line.connection == last > 1]
    return {ticker for ticker in tickers if any(ticker in text for text in texts)}
