"""The OpenAPI and the AsyncAPI document as one page without scripts.

openapi.json, asyncapi.json ─► HTML
"""

import html
from collections.abc import Iterator

from functions.logic.html_parts import (
    Json,
    code,
    example,
    in_words,
    members,
    paragraph,
    resolve,
    table,
    text,
)

STYLE = """
:root { color-scheme: light dark; --line: #8886; --soft: #8881; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 0 auto; padding: 1rem; }
nav a { margin-right: 1rem; white-space: nowrap; }
h2 { margin-top: 3rem; border-bottom: 1px solid var(--line); }
h3 { margin-top: 2.5rem; overflow-wrap: anywhere; }
code, pre { font-family: ui-monospace, monospace; font-size: 0.9em; }
code, pre { background: var(--soft); border-radius: 4px; }
code { padding: 0 0.25em; }
pre { padding: 0.75rem; overflow-x: auto; }
.wide { overflow-x: auto; margin: 1rem 0; }
td:first-child, th:first-child { min-width: 7rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: 0.3rem 0.8rem 0.3rem 0; }
th, td { border-bottom: 1px solid var(--line); }
"""


def page(openapi: Json, asyncapi: Json) -> str:
    """The whole page."""
    http, sockets = list(_http(openapi)), list(_sockets(asyncapi))
    title = "Tapedeck: HTTP and WebSockets"
    head = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{STYLE}</style></head>"
    )
    nav = (
        '<nav><a href="#http">HTTP</a> <a href="#websockets">WebSockets</a> '
        '<a href="api/openapi.json">openapi.json</a> '
        '<a href="api/asyncapi.json">asyncapi.json</a></nav>'
    )
    return "\n".join((head, f"<body><h1>{title}</h1>{nav}", *http, *sockets, "</body></html>"))


def _http(document: Json) -> Iterator[str]:
    yield '<h2 id="http">HTTP</h2>'
    yield paragraph(document["info"].get("description", ""))
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield _title(f"{method.upper()} {path}", operation["operationId"])
            yield from _operation(document, operation)


def _operation(document: Json, operation: Json) -> Iterator[str]:
    yield paragraph(operation["summary"] + ".")
    yield paragraph(operation.get("description", ""))
    yield table(
        ("parameter", "", "what"),
        (
            (
                code(one["name"]),
                "required" if one["required"] else "",
                f"{in_words(document, one['schema'])}<br>{text(one['description'])}",
            )
            for one in operation.get("parameters", ())
        ),
    )
    answers = {status: resolve(document, one) for status, one in operation["responses"].items()}
    yield table(
        ("answer", "what"),
        ((code(status), text(one["description"])) for status, one in answers.items()),
    )
    for content in answers["200"].get("content", {}).values():
        schema = resolve(document, content["schema"])
        yield members(document, schema.get("items", schema))
        yield from _of_lists(document, schema)
        if "example" in content:
            yield example(content["example"])


def _of_lists(document: Json, schema: Json) -> Iterator[str]:
    """What is in the lists that an answer's members are."""
    for name, one in schema.get("properties", {}).items():
        shown = members(document, one["items"]) if "items" in one else ""
        if shown:
            yield f"<p>Each of {code(name)}:</p>{shown}"


def _sockets(document: Json) -> Iterator[str]:
    yield '<h2 id="websockets">WebSockets</h2>'
    yield paragraph(document["info"].get("description", ""))
    yield table(
        ("address", "what"),
        (
            (
                code(f"{one['protocol']}://{one['host']}"),
                text(one.get("description", "")),
            )
            for one in document["servers"].values()
        ),
    )
    for name, channel in document["channels"].items():
        yield _title(f"{channel['address']} {channel.get('title', '')}", f"channel-{name}")
        yield paragraph(channel.get("description", ""))
        yield from _directions(document, name)
    yield "<h2>Messages</h2>"
    for name, message in document["components"]["messages"].items():
        yield from _message(document, name, message)


def _directions(document: Json, channel: str) -> Iterator[str]:
    """Who sends what: the operations are told from the server's side."""
    rows = []
    for operation in document["operations"].values():
        if operation["channel"]["$ref"] != f"#/channels/{channel}":
            continue
        who = "the server" if operation["action"] == "send" else "a client"
        names = [one["$ref"].rpartition("/")[2] for one in operation["messages"]]
        links = " ".join(
            f'<a href="#message-{html.escape(one)}">{code(one)}</a>' for one in names
        )
        rows.append((f"{who} sends", links))
    yield table(("", "messages"), rows)


def _message(document: Json, name: str, message: Json) -> Iterator[str]:
    yield _title(name, f"message-{name}")
    yield paragraph(message.get("title", ""))
    yield paragraph(message.get("description", message.get("summary", "")))
    payload = resolve(document, message["payload"])
    yield members(document, payload) or f"<p>{in_words(document, payload)}</p>"
    for one in message.get("examples", ()):
        yield example(one["payload"])


def _title(words: str, anchor: str) -> str:
    return f'<h3 id="{html.escape(anchor)}">{html.escape(words)}</h3>'
