"""The file of `--state`: what is no such file, what cannot be written, what is kept in it."""

import json

import pytest

from local.exchanges.__main__ import main
from local.exchanges.kept_ids import IdFile
from local.exchanges.pace import Pace


class Serving:
    """What the file asks of an exchange that is served: its name, how far its trades are."""

    def __init__(self, name, **trade_ids):
        self.name = name
        self.ids = lambda: {ticker: {"trade_id": last} for ticker, last in trade_ids.items()}


def kept(state):
    return json.loads(state.read_bytes())


@pytest.fixture
def state(tmp_path):
    """The state file of the test."""
    return tmp_path / "ids.json"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe\x00",
        b'{"what":"ids of simulated exchanges","clean":true,"ids":{"binance":{"BTCUS',
        b'{"supervisor":1,"data":"/data"}',
        b'{"what":"ids of simulated exchanges","clean":true,"ids":{"binance":{"BTCUSDT":7}}}',
        b'{"what":"ids of simulated exchanges","clean":true,"ids":{"a":{"b":{"c":-1}}}}',
    ],
)
def test_a_file_that_is_no_whole_state_is_passed_over_with_one_line(content, state) -> None:
    state.write_bytes(content)
    log = []
    file = IdFile(state, Pace(), lambda event, **fields: log.append((event, fields["file"])))
    assert log == [("ids_passed_over", str(state))]
    assert not file.of("binance")
    assert state.read_bytes() == content


def test_a_file_that_cannot_be_written_is_told_once_until_it_can_be(state) -> None:
    log = []
    file = IdFile(state, Pace(), lambda event, **_: log.append(event))
    blocked = state.with_name(f"{state.name}.part")
    for _ in range(2):
        blocked.mkdir()
        file.end([Serving("binance", BTCUSDT=1)])
        file.end([Serving("binance", BTCUSDT=2)])
        blocked.rmdir()
        file.end([Serving("binance", BTCUSDT=3)])
        assert kept(state)["ids"]["binance"] == {"BTCUSDT": {"trade_id": 3}}
    assert log == ["ids_not_written"] * 2


def test_what_is_not_served_this_time_keeps_its_ids_exactly(state) -> None:
    def file():
        return IdFile(state, Pace(), lambda *_, **__: None)

    file().end([Serving("binance", BTCUSDT=5, ETHUSDT=6), Serving("coinbase", X=7)])
    file().end([Serving("binance", BTCUSDT=9)])
    assert kept(state)["ids"] == {
        "binance": {"BTCUSDT": {"trade_id": 9}, "ETHUSDT": {"trade_id": 6}},
        "coinbase": {"X": {"trade_id": 7}},
    }


def test_a_replay_has_no_ids_to_keep(tmp_path, capsys) -> None:
    assert main(["--state", str(tmp_path / "ids.json"), "--replay", "tape.gz"]) == 2
    assert "not with --replay" in capsys.readouterr().err
