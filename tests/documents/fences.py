"""The programs that the documents print, cut out of their Markdown and made runnable.

    sources/*.md ─ fence(heading, language) ─► text ─ Change, … ─► the program that runs

A change is an exact replacement that must match: what the documents misprint (design.md §9) and
where the test's stack listens. Nothing else is touched.
"""

import re
from typing import NamedTuple

_HEADING = re.compile(r"^#{1,6} (.*)$", re.MULTILINE)
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Change(NamedTuple):
    """`old` becomes `new`, once; `why` says what was wrong with it."""

    old: str
    new: str
    why: str


class Fence(NamedTuple):
    """One block of a page: the heading above it, its language, its text."""

    heading: str
    language: str
    text: str


def read(path):
    """The page's text; one that was read as Mac Roman and saved as UTF-8 is put right."""
    text = path.read_text(encoding="utf-8")
    try:
        return text.encode("mac_roman").decode("utf-8")
    except UnicodeError:
        return text


def fences(text):
    """Every fenced block of a page, in order."""
    found = []
    for match in _FENCE.finditer(text):
        headings = [one[1] for one in _HEADING.finditer(_prose(text[: match.start()]))]
        found.append(Fence(headings[-1] if headings else "", match[1], match[2]))
    return found


def fence(text, heading, language, number=0):
    """The block of a language under a heading, the first unless `number` says another."""
    found = [
        one.text for one in fences(text) if (one.heading, one.language) == (heading, language)
    ]
    assert len(found) > number, f"no {language} block under {heading!r}"
    return found[number]


def changed(program, *changes):
    """The program with each change made; each must match exactly once."""
    for change in changes:
        assert program.count(change.old) == 1, f"{change.why}: {change.old!r} is not there once"
        program = program.replace(change.old, change.new)
    return program


def _prose(text):
    return _FENCE.sub("", text)
