"""YAML that people write: what is wrong with it is a line and a few words, whatever is in it.

text ─ composed ─► nodes, at most `MOST_DEEP` in each other ─ constructed ─► plain values
"""

from typing import Any

import yaml
from yaml.composer import ComposerError
from yaml.constructor import ConstructorError
from yaml.nodes import Node
from yaml.reader import ReaderError

from marketdata.errors import DecodeError

MOST_DEEP = 100
"""Files are far below it, and Python's own limit is above."""


class NotYaml(DecodeError):
    """Text that is not YAML, or not in bounds; `line` counts from 1, None: not known."""

    def __init__(self, line: int | None, reason: str) -> None:
        self.line = line
        super().__init__(reason)


class Loader(yaml.SafeLoader):
    """The library's safe one; what goes too deep, or is no value of its tag, is its error."""

    _depth = 0

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        """One node with what is in it."""
        if self._depth == MOST_DEEP:
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise ComposerError(None, None, f"it is nested more than {MOST_DEEP} deep", mark)
        self._depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1

    def construct_object(self, node: Node, deep: bool = False) -> Any:
        """The value of one node."""
        try:
            return super().construct_object(node, deep)
        except (KeyError, ValueError) as error:  # 2024-13-45, or !!bool maybe
            kind = node.tag.rpartition(":")[2]
            problem = f"{str(node.value)[:40]!r} is no {kind}"
            raise ConstructorError(None, None, problem, node.start_mark) from error


def composed(text: str) -> Node | None:
    """The document's node; None for an empty document. Raises NotYaml."""
    try:
        return Loader(text).get_single_node()
    except ReaderError as error:
        line = len(f"{text[: error.position]}.".splitlines())
        words = f"the character U+{ord(text[error.position]):04X} is not allowed"
        raise NotYaml(line, words) from error
    except yaml.YAMLError as error:
        raise _not_yaml(error) from error


def constructed(node: Node, loader: type[Loader] = Loader) -> Any:
    """The plain value of a node. Raises NotYaml."""
    try:
        return loader("").construct_document(node)
    except yaml.YAMLError as error:
        raise _not_yaml(error) from error
    except RecursionError as error:
        raise NotYaml(None, "its merges (<<) go too deep") from error


def _not_yaml(error: yaml.YAMLError) -> NotYaml:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or "it cannot be parsed"
    return NotYaml(mark.line + 1 if mark else None, problem)
