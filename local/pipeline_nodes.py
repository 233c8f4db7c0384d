"""YAML nodes with their lines: what is wrong in a pipeline file, all of it, and where.

text ─► root ─► Section (a mapping) ─► texts, numbers, lists; faults on the way
"""

import difflib
from collections.abc import Collection, Iterator
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from container_worker.yaml_text import NotYaml, composed, constructed
from marketdata.errors import SettingsError

MOST_NODES = 10_000
"""In one list that is passed on as JSON, with what its aliases repeat."""
_INT, _BOOL, _NULL = (f"tag:yaml.org,2002:{name}" for name in ("int", "bool", "null"))


class Faults:
    """Collects sentences, each with the file's name and a line."""

    def __init__(self, source: str) -> None:
        self.source = source
        self._found: list[tuple[int, str]] = []

    def add(self, node: Node, text: str) -> None:
        """Notes what is wrong at a node."""
        self._found.append((node.start_mark.line + 1, text))

    def check(self) -> None:
        """Raises SettingsError with every fault, in the file's order."""
        if self._found:
            ordered = sorted(self._found, key=lambda one: one[0])
            raise SettingsError(
                [f"{self.source}: line {line}: {text}" for line, text in ordered]
            )


def root(text: str, source: str) -> Node:
    """The document's node.

    Raises:
        SettingsError: it is not YAML, or empty.
    """
    try:
        node = composed(text)
    except NotYaml as error:
        where = f"line {error.line}: " if error.line else ""
        raise SettingsError([f"{source}: {where}not YAML: {error.reason}"]) from error
    if node is None:
        raise SettingsError([f"{source}: the file is empty: it begins with the key pipelines"])
    return node


def hint(word: str, known: Collection[str]) -> str:
    """`: did you mean …?` where a known word is near, else `; known: …`."""
    lower = {one.lower(): one for one in known}
    close = difflib.get_close_matches(word.lower(), list(lower), n=1, cutoff=0.5)
    if close:
        return f": did you mean {lower[close[0]]}?"
    return f"; known: {', '.join(known)}" if known else "; it takes none"


class Section:
    """One mapping of the file; `name` is how sentences call it.

    `keys` are those that it may have, None for any.
    What is missing or bad gives a placeholder that nobody sees, because `Faults.check` raises.
    """

    def __init__(
        self, faults: Faults, node: Node, name: str, keys: Collection[str] | None
    ) -> None:
        self.faults = faults
        self.node = node
        self.name = name
        self.members: dict[str, Node] = {}
        if not isinstance(node, MappingNode):
            faults.add(node, f"{name} must be a mapping{_of(keys)}")
            return
        for key, value in node.value:
            word = str(key.value)
            if word in self.members:
                faults.add(key, f"{name} has {word!r} twice")
            elif keys is not None and word not in keys:
                faults.add(key, f"{name} has the unknown key {word[:80]!r}{hint(word, keys)}")
            self.members.setdefault(word, value)

    def fault(self, key: str, text: str) -> None:
        """Notes what is wrong at a key, or at the whole where the key is missing."""
        self.faults.add(self.members.get(key, self.node), f"{key} of {self.name} {text}")

    def line(self, key: str) -> int:
        """The line of a key's value, or of the whole where the key is missing."""
        return int(self.members.get(key, self.node).start_mark.line) + 1

    def text(self, key: str, default: str | None = None) -> str:
        """A scalar as it is written; without `default` it must be there and not empty."""
        node = self._given(key)
        if node is None:
            if default is None:
                self.fault(key, "is missing")
            return default or ""
        if not isinstance(node, ScalarNode):
            self.fault(key, "must be one value, not a list or a mapping")
            return default or ""
        if default is None and not node.value.strip():
            self.fault(key, "is empty")
        return str(node.value)

    def one_of(self, key: str, choices: Collection[str], default: str | None = None) -> str:
        """One of a few words, as they are spelt."""
        word = self.text(key, default)
        if word and word not in choices:
            self.fault(key, f"is {word[:80]!r}, which is unknown{hint(word, choices)}")
        return word

    def number(self, key: str, least: str, most: str, default: str, *, whole: bool) -> str:
        """A number within bounds, written as a number or as a text; returned as digits."""
        text = self.text(key, default).strip()
        kind = "a whole number" if whole else "a number"
        try:
            value = Decimal(text if text.isascii() else "")
            good = Decimal(least) <= value <= Decimal(most)
        except InvalidOperation:
            value, good = Decimal(0), False
        if not good or (whole and value != value.to_integral_value()):
            self.fault(key, f"is {text[:40]!r}, not {kind} from {least} to {most}")
            return default
        return str(int(value)) if whole else format(value, "f")

    def items(self, key: str, *, needed: bool = False) -> list[Node]:
        """The entries of a list; one that is missing is empty."""
        node = self._given(key)
        if node is None:
            if needed:
                self.fault(key, "is missing: it is a list")
            return []
        if not isinstance(node, SequenceNode):
            self.fault(key, "must be a list")
            return []
        if needed and not node.value:
            self.fault(key, "is an empty list")
        return list(node.value)

    def section(
        self, key: str, keys: Collection[str] | None, *, needed: bool
    ) -> "Section | None":
        """A mapping below this one; None where it is missing."""
        node = self._given(key)
        if node is None:
            if needed:
                self.fault(key, "is missing")
            return None
        return Section(self.faults, node, f"{key} of {self.name}", keys)

    def _given(self, key: str) -> Node | None:
        node = self.members.get(key)
        is_null = isinstance(node, ScalarNode) and node.tag == _NULL
        return None if is_null else node


def as_json(faults: Faults, node: Node) -> bytes:
    """The JSON of a node, its texts as they are written; `[]` where it is too large."""
    budget = iter(range(MOST_NODES))
    try:
        return msgspec.json.encode(_plain(node, budget))
    except (StopIteration, RecursionError):
        faults.add(node, f"it has more than {MOST_NODES} entries, aliases counted")
    except NotYaml as error:
        faults.add(node, error.reason)
    return b"[]"


def _plain(node: Node, budget: Iterator[int]) -> Any:
    next(budget)
    if isinstance(node, MappingNode):
        return {str(key.value): _plain(value, budget) for key, value in node.value}
    if isinstance(node, SequenceNode):
        return [_plain(one, budget) for one in node.value]
    if node.tag == _NULL:
        return None
    if node.tag in {_INT, _BOOL}:
        return constructed(node)
    return node.value


def _of(keys: Collection[str] | None) -> str:
    return f" with {', '.join(keys)}" if keys else ""
