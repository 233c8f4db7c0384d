"""A folder has data of one source an exchange: another tape is refused, not mixed in."""

from dataclasses import replace

import pytest

from local.data_sources import claim, sources_of
from local.exchanges.recordings import find_recordings
from local.stack_settings import LIVE, REPLAY, StackSettings
from marketdata.errors import LocalError

BINANCE = "wss://stream.binance.com:9443/stream?streams=btcusdt@trade <-> {}.5\n"
COINBASE = "wss://ws-feed.pro.coinbase.com <-> {}.5\n"


def tape(folder, name, line, second=1_618_677_372):
    path = folder / name
    path.write_text(line.format(second))
    return path


def replay(data, *paths):
    found = find_recordings(paths, lambda _name: True)
    settings = StackSettings(data, mode=REPLAY, recordings=paths)
    return sources_of(settings, found.venues, found)


def captured(data):
    """Something is in the topics."""
    segment = data / "kafka" / "log" / "prices-3" / "00000000000000000000.log"
    segment.parent.mkdir(parents=True, exist_ok=True)
    segment.write_bytes(b"x")


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    captured(folder)
    return folder


def test_a_folder_takes_the_tape_that_it_has_and_no_other(data, tmp_path) -> None:
    first = tape(tmp_path, "first", BINANCE)
    claim(data, replay(data, first))
    moved = first.rename(tmp_path / "moved")
    claim(data, replay(data, moved))
    other = tape(tmp_path, "other", BINANCE, second=1_618_677_999)
    with pytest.raises(LocalError) as refused:
        claim(data, replay(data, other))
    assert str(refused.value) == (
        f"{data} has data of binance from a recording, and those from another recording cannot "
        f"be told from them: choose another folder with --data, or remove {data}"
    )
    claim(data, replay(data, moved))


def test_recordings_simulation_and_exchange_are_never_mixed(data, tmp_path) -> None:
    simulated = sources_of(StackSettings(data), ["binance", "coinbase"], None)
    live = sources_of(replace(StackSettings(data), mode=LIVE), ["binance"], None)
    taped = replay(data, tape(tmp_path, "tape", BINANCE))
    claim(data, simulated)
    for other, words in (
        (taped, "from the simulation, and those from a recording"),
        (live, "from the simulation, and those from the exchange itself"),
    ):
        with pytest.raises(LocalError, match=words):
            claim(data, other)
    claim(data, simulated)


def test_another_exchanges_tape_may_come_into_it(data, tmp_path) -> None:
    claim(data, replay(data, tape(tmp_path, "one", BINANCE)))
    claim(data, replay(data, tape(tmp_path, "two", COINBASE)))
    with pytest.raises(LocalError, match="data of binance"):
        claim(data, sources_of(StackSettings(data), ["stellar", "binance"], None))


def test_a_folder_in_which_nothing_was_captured_takes_any(data, tmp_path) -> None:
    claim(data, replay(data, tape(tmp_path, "one", BINANCE)))
    (data / "kafka" / "log" / "prices-3" / "00000000000000000000.log").write_bytes(b"")
    other = replay(data, tape(tmp_path, "two", BINANCE, second=2_000_000_000))
    claim(data, other)
    captured(data)
    claim(data, other)


def test_a_folder_of_which_nobody_noted_the_source_is_believed(data, tmp_path) -> None:
    (data / "sources.json").write_bytes(b"\xff")
    claim(data, replay(data, tape(tmp_path, "one", BINANCE)))
