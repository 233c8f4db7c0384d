"""The YAML of `capture --streams`: named wishes for capture units (design.md §3, §5).

streams:
  - queue_id: main
    exchange: binance
    tickers: [BTCUSDT, ETHUSDT]
    types: [ws_diff_depth, ws_trades]

A file whose name ends in `.env` is one of pairs instead: container_worker/pairs_file.py.
"""

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yaml.constructor import ConstructorError

from container_worker.exchanges import REGISTRY
from container_worker.pairs_file import is_pairs_file, pairs
from container_worker.yaml_text import Loader, NotYaml, composed, constructed
from marketdata.errors import StreamsFileError
from marketdata.topics import TOPIC_OF_TYPE

_KEYS = ("queue_id", "exchange", "tickers", "types")
_TICKER_LETTERS = 32
_OF_PAIRS = "blockchain"


@dataclass(frozen=True, slots=True)
class Wish:
    """One stream: every ticker in every type."""

    queue_id: str
    exchange: str
    tickers: tuple[str, ...]
    types: tuple[str, ...]


def read(path: Path) -> tuple[Wish, ...]:
    """The streams of a file.

    Raises:
        StreamsFileError: the file cannot be read, or one line for each fault in it.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise StreamsFileError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise StreamsFileError(f"{path}: it is not UTF-8 text") from error
    return parse_pairs(text, str(path)) if is_pairs_file(path) else parse(text, str(path))


def parse_pairs(text: str, source: str) -> tuple[Wish, ...]:
    """The one stream of a `.env` text: its pairs, in every type that Blockchain.com has.

    Raises:
        StreamsFileError: one line for each fault.
    """
    types = tuple(sorted(REGISTRY[_OF_PAIRS].types))
    return (Wish("pairs", _OF_PAIRS, pairs(text, source), types),)


def parse(text: str, source: str) -> tuple[Wish, ...]:
    """The streams of a YAML text; `source` begins every sentence.

    Raises:
        StreamsFileError: one line for each fault.
    """
    try:
        node = composed(text)
        document = constructed(node, _Loader) if node else None
    except NotYaml as error:
        where = f" at line {error.line}" if error.line else ""
        raise StreamsFileError(f"{source}: not YAML{where}: {error.reason}") from error
    reader = _Faults()
    wishes = reader.streams(document)
    if reader.faults:
        raise StreamsFileError("\n".join(f"{source}: {fault}" for fault in reader.faults))
    return tuple(wishes)


class _Loader(Loader):
    """Refuses a key that stands twice in one mapping."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if isinstance(key.value, str) and key.value in seen:
                raise ConstructorError(
                    None, None, f"the key {key.value!r} stands twice", key.start_mark
                )
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


class _Faults:
    """Reads the document and collects what is wrong with it."""

    def __init__(self) -> None:
        self.faults: list[str] = []

    def streams(self, document: Any) -> list[Wish]:
        if not isinstance(document, Mapping):
            self.faults.append("it must be a mapping with the key streams")
            return []
        self._unknown_keys("", document, ("streams",))
        rows = document.get("streams")
        if not isinstance(rows, list) or not rows:
            self.faults.append("streams must be a list of at least one stream")
            return []
        wishes = [self._stream(number, row) for number, row in enumerate(rows, 1)]
        self._repeated_ids(wishes)
        return wishes

    def _stream(self, number: int, row: Any) -> Wish:
        where = f"stream {number}"
        if not isinstance(row, Mapping):
            self.faults.append(f"{where}: it must be a mapping with {', '.join(_KEYS)}")
            return Wish("", "", (), ())
        if isinstance(row.get("queue_id"), str) and row["queue_id"]:
            where += f" ({row['queue_id']})"
        self._unknown_keys(f"{where}: ", row, _KEYS)
        wish = Wish(
            queue_id=self._text(where, row, "queue_id"),
            exchange=self._text(where, row, "exchange"),
            tickers=self._list(where, row, "tickers"),
            types=self._list(where, row, "types"),
        )
        self._known(where, wish)
        return wish

    def _unknown_keys(self, where: str, row: Mapping[Any, Any], keys: Collection[str]) -> None:
        for key in row:
            if key not in keys:
                self.faults.append(f"{where}unknown key {key!r}{_hint(str(key), keys)}")

    def _text(self, where: str, row: Mapping[str, Any], key: str) -> str:
        value = row.get(key)
        if isinstance(value, str) and value.strip():
            return value
        wrong = (
            "is missing"
            if value is None
            else f"must be a text that is not empty, not {value!r}"
        )
        self.faults.append(f"{where}: {key} {wrong}")
        return ""

    def _list(self, where: str, row: Mapping[str, Any], key: str) -> tuple[str, ...]:
        value = row.get(key)
        if value is None:
            self.faults.append(f"{where}: {key} is missing")
            return ()
        if not isinstance(value, list) or not value:
            self.faults.append(f"{where}: {key} must be a list of at least one text")
            return ()
        bad = [entry for entry in value if not isinstance(entry, str) or not entry.strip()]
        self.faults += [f"{where}: {key} has {entry!r}, which is no text" for entry in bad]
        good = [entry for entry in value if entry not in bad]
        twice = sorted({entry for entry in good if good.count(entry) > 1})
        self.faults += [f"{where}: {key} has {entry!r} twice" for entry in twice]
        return tuple(good)

    def _known(self, where: str, wish: Wish) -> None:
        for ticker in wish.tickers:
            if len(ticker) > _TICKER_LETTERS or any(letter.isspace() for letter in ticker):
                self.faults.append(f"{where}: tickers has {ticker!r}, which is no ticker")
        adapter = REGISTRY.get(wish.exchange)
        if adapter is None:
            if wish.exchange:
                known = f"; known: {', '.join(REGISTRY)}"
                hint = _hint(wish.exchange, REGISTRY)
                self.faults.append(
                    f"{where}: exchange {wish.exchange!r} is unknown{hint}{known}"
                )
            return
        for type_ in wish.types:
            if type_ not in TOPIC_OF_TYPE:
                hint = _hint(type_, adapter.types)
                self.faults.append(f"{where}: types has {type_!r}, which is unknown{hint}")
            elif type_ not in adapter.types:
                has = ", ".join(sorted(adapter.types))
                self.faults.append(f"{where}: {wish.exchange} has no {type_}; it has {has}")

    def _repeated_ids(self, wishes: list[Wish]) -> None:
        ids = [wish.queue_id for wish in wishes if wish.queue_id]
        for queue_id in sorted({one for one in ids if ids.count(one) > 1}):
            numbers = [n for n, wish in enumerate(wishes, 1) if wish.queue_id == queue_id]
            named = " and ".join(str(number) for number in numbers)
            self.faults.append(f"streams {named}: queue_id {queue_id!r} must be unique")


def _hint(word: str, choices: Collection[str]) -> str:
    close = difflib.get_close_matches(word, list(choices), n=1)
    return f": did you mean {close[0]}?" if close else ""
