"""Pieces of a page: escaped text, tables, and a JSON schema in words."""

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

Json = Mapping[str, Any]
Row = Sequence[str]

_CODE = re.compile(r"`([^`]+)`")
_WIDE = 76
_BOUNDS = {
    "minimum": "from {}",
    "maximum": "to {}",
    "minLength": "at least {} long",
    "maxLength": "at most {} long",
    "minItems": "at least {}",
    "maxItems": "at most {}",
    "default": "default {}",
}


def text(words: str) -> str:
    """Escaped, with what stands in backticks as code."""
    return _CODE.sub(r"<code>\1</code>", html.escape(words, quote=False))


def code(words: object) -> str:
    """Escaped, as code."""
    return f"<code>{html.escape(str(words), quote=False)}</code>"


def paragraph(words: str) -> str:
    """A paragraph; nothing where there are no words."""
    return f"<p>{text(words)}</p>" if words else ""


def example(value: object) -> str:
    """A value as JSON, on one line where it fits; a text as it stands."""
    line = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    if not isinstance(value, str) and len(line) > _WIDE:
        line = msgspec.json.format(line, indent=2)
    return f"<pre>{html.escape(line, quote=False)}</pre>"


def table(head: Row, rows: Iterable[Row]) -> str:
    """A table of ready cells; nothing where there are no rows."""
    body = "".join(
        "<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows
    )
    if not body:
        return ""
    titles = "".join(f"<th>{text(title)}</th>" for title in head)
    return (
        f'<div class="wide"><table><thead><tr>{titles}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def resolve(document: Json, part: Json) -> Json:
    """A part of a document, behind its references."""
    while "$ref" in part:
        found: Any = document
        for name in part["$ref"].removeprefix("#/").split("/"):
            found = found[name.replace("~1", "/").replace("~0", "~")]
        part = found
    return part


def members(document: Json, schema: Json) -> str:
    """The members of an object as a table; nothing for what is no object."""
    found = resolve(document, schema)
    required = found.get("required", ())
    return table(
        ("member", "", "what"),
        (
            (code(name), "" if name in required else "may be absent", in_words(document, one))
            for name, one in found.get("properties", {}).items()
        ),
    )


def in_words(document: Json, schema: Json) -> str:
    """What a value may be: its type, its choices, its bounds, its description."""
    found = resolve(document, schema)
    words = [_kind(document, found)]
    words += [
        text(phrase.format(_bare(found[name])))
        for name, phrase in _BOUNDS.items()
        if name in found
    ]
    short = ", ".join(word for word in words if word)
    described = text(found.get("description", ""))
    return "<br>".join(part for part in (short, described) if part)


def _kind(document: Json, schema: Json) -> str:
    if "const" in schema:
        return _value(schema["const"])
    if "enum" in schema:
        return " ".join(map(_value, schema["enum"]))
    if "oneOf" in schema and "type" not in schema:
        return " or ".join(_kind(document, resolve(document, one)) for one in schema["oneOf"])
    kinds = schema.get("type", "anything")
    kind = " or ".join((kinds,) if isinstance(kinds, str) else kinds)
    if "array" in kind and "items" in schema:
        return f"{kind} of {_kind(document, resolve(document, schema['items']))}"
    return text(kind)


def _value(value: object) -> str:
    return code(_bare(value))


def _bare(value: object) -> str:
    """A text as it is, anything else as JSON."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
