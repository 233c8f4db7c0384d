"""One reading of the recordings before they are played: what they have, from when to when."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from local.exchanges.blockchain.requests import OF_SYMBOL, WHOLE, stream
from local.exchanges.recordings import FRAME, REST, RecordedLine, merged
from marketdata.errors import InputError

_LISTS = ("/symbols", "/instruments")


class Message(msgspec.Struct, frozen=True):
    """What is looked at in every frame."""

    event: str = ""
    channel: str = ""
    symbol: str = ""
    granularity: float = 0
    trade_id: str = ""

    @property
    def has_data(self) -> bool:
        """Whether it is no answer, and of a public channel."""
        return self.event in {"snapshot", "updated"} and self.channel in OF_SYMBOL | WHOLE


@dataclass(slots=True)
class TapeIndex:
    """`granularities` by symbol, where candles are not of one minute; `ids` of trades."""

    streams: set[str] = field(default_factory=set)
    tickers: set[str] = field(default_factory=set)
    granularities: dict[str, int] = field(default_factory=dict)
    symbols: dict[str, dict[str, Any]] = field(default_factory=dict)
    first_ms: int = 0
    last_ms: int = 0
    least_id: int = 0
    most_id: int = 0

    def stream(self, message: Message) -> str:
        """The stream that a message belongs to."""
        symbol = "" if message.channel in WHOLE else message.symbol
        granularity = 60
        if message.channel == "prices":
            granularity = self.granularities.get(symbol, 60)
        return stream(symbol, message.channel, granularity)

    def take(self, line: RecordedLine) -> None:
        """Look at a line."""
        if (
            line.kind == REST
            and line.status == 200
            and line.url.partition("?")[0].endswith(_LISTS)
        ):
            self._list(line.payload)
        if line.kind != FRAME:
            return
        message = read_message(line)
        if message.event == "subscribed" and message.granularity:
            self.granularities[message.symbol] = int(message.granularity)
        if not message.has_data:
            return
        self.streams.add(self.stream(message))
        if message.symbol and message.channel in OF_SYMBOL:
            self.tickers.add(message.symbol)
        time_ms = line.time_ns // 1_000_000
        self.first_ms, self.last_ms = self.first_ms or time_ms, time_ms
        if message.trade_id.isdecimal():
            number = int(message.trade_id)
            self.least_id = min(self.least_id or number, number)
            self.most_id = max(self.most_id, number)

    def _list(self, body: bytes) -> None:
        """A recorded list of instruments, in either form; another answer tells nothing."""
        try:
            listed = _symbols.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return
        if isinstance(listed, list):
            listed = {str(row.pop("symbol", "")): row for row in listed}
        self.symbols.update(listed)


_symbols: msgspec.json.Decoder[dict[str, dict[str, Any]] | list[dict[str, Any]]] = (
    msgspec.json.Decoder(dict[str, dict[str, Any]] | list[dict[str, Any]])
)
_message = msgspec.json.Decoder(Message)


def read_message(line: RecordedLine) -> Message:
    """The frame of a line.

    Raises:
        InputError: it is no message of this exchange.
    """
    try:
        return _message.decode(line.payload)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise not_a_message(line, error) from error


def not_a_message(line: RecordedLine, error: Exception) -> InputError:
    """What is raised for a frame that is not what it must be."""
    return InputError(
        f"line {line.number} of the recording is no message of Blockchain.com: {error}"
    )


def index_tape(paths: Sequence[Path]) -> TapeIndex:
    """Everything that the files have.

    Raises:
        InputError: a file cannot be read, or has nothing to play.
    """
    index = TapeIndex()
    for line in merged(paths):
        index.take(line)
    if not index.tickers:
        names = ", ".join(path.name for path in paths)
        raise InputError(f"{names}: there is no market data of Blockchain.com in it")
    return index
