"""The `.env` of sources/crypto-streams.md: which pairs of Blockchain.com are wanted.

# as many as you like
PAIRS=BTC-USD,ETH-USD BTC-EUR

Other keys are passed over: they belong to other programs. No value but that of PAIRS is ever
repeated in a sentence, because such files hold secrets.
"""

import difflib
import re
from pathlib import Path

from marketdata.errors import StreamsFileError

KEY = "PAIRS"
_EXAMPLE = f"say which ones, such as {KEY}=BTC-USD,BTC-EUR"
_MOST_LETTERS = 1 << 16
_LIKENESS = 0.75
_BLANK = re.compile(r"[ \t]*(?:#[^\n]*)?(?:\n|\Z)")
_NAME = re.compile(r"[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.]*)[ \t]*=[ \t]*")
_VALUES = (
    re.compile(r"'(?P<text>[^']*)'"),
    re.compile(r'"(?P<text>(?:[^"\\]|\\.)*)"', re.DOTALL),
    re.compile(r"(?P<text>(?:[^\n\"'#](?:[^\n#]|(?<=[^ \t])#)*)?)"),
)
_PAIR = re.compile(r"[A-Z0-9]{2,12}-[A-Z0-9]{2,12}")


def is_pairs_file(path: Path) -> bool:
    """Whether a streams file is meant to be one, by its name: `.env`, `demo.env`."""
    return path.name.endswith(".env")


def pairs(text: str, source: str) -> tuple[str, ...]:
    """The pairs of the text, in its order; `source` begins every sentence.

    A value may be quoted, also over several lines; what follows ` #` is a comment.

    Raises:
        StreamsFileError: one line for each fault.
    """
    reader = _Reader(text)
    reader.read()
    found = reader.wanted()
    if reader.faults:
        raise StreamsFileError("\n".join(f"{source}: {fault}" for fault in reader.faults))
    return tuple(found)


class _Reader:
    """Goes through the text once and collects what is wrong with it."""

    def __init__(self, text: str) -> None:
        text = text.removeprefix("\ufeff")
        self.faults: list[str] = []
        if len(text) > _MOST_LETTERS:
            self.faults.append("it is larger than 64 KiB, which is no .env file")
            text = ""
        self._text = text.replace("\r\n", "\n")
        self._given: list[tuple[int, str]] = []

    def read(self) -> None:
        at = 0
        while at < len(self._text):
            blank = _BLANK.match(self._text, at)
            at = blank.end() if blank else self._assignment(at)

    def _assignment(self, at: int) -> int:
        """Takes `KEY=VALUE`; where the next line begins."""
        line = self._text.count("\n", 0, at) + 1
        name = _NAME.match(self._text, at)
        if name is None:
            self.faults.append(f"line {line}: it is not KEY=VALUE")
            return self._next_line(at)
        for pattern in _VALUES:
            value = pattern.match(self._text, name.end())
            rest = _BLANK.match(self._text, value.end()) if value else None
            if value and rest:
                self._key(line, name[1], value["text"])
                return rest.end()
        self.faults.append(f"line {line}: the quotes of {name[1]} are not closed, or are torn")
        return len(self._text)

    def _next_line(self, at: int) -> int:
        end = self._text.find("\n", at)
        return len(self._text) if end < 0 else end + 1

    def _key(self, line: int, key: str, value: str) -> None:
        if key == KEY:
            self._given.append((line, value))
        elif _resembles(key):
            self.faults.append(f"line {line}: {key} is no key of ours: did you mean {KEY}?")

    def wanted(self) -> list[str]:
        """The pairs, when the key stands there once and has some."""
        if len(self._given) != 1:
            if self._given:
                lines = " and ".join(str(line) for line, _ in self._given)
                self.faults.append(f"lines {lines}: {KEY} stands more than once")
            elif not self.faults:
                self.faults.append(f"{KEY} is missing: {_EXAMPLE}")
            return []
        [(line, value)] = self._given
        found = [word for word in re.split(r"[,\s]+", value) if word]
        if not found:
            self.faults.append(f"line {line}: {KEY} is empty: {_EXAMPLE}")
        for word in dict.fromkeys(found):
            if not _PAIR.fullmatch(word):
                self.faults.append(
                    f"line {line}: {KEY} has {word[:32]!r}, which is no pair such as BTC-USD"
                )
            elif found.count(word) > 1:
                self.faults.append(f"line {line}: {KEY} has {word!r} twice")
        return found


def _resembles(key: str) -> bool:
    bare = key.upper().replace("_", "").replace(".", "")
    return bool(difflib.get_close_matches(bare, [KEY], n=1, cutoff=_LIKENESS))
