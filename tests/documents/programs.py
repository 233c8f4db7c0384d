"""Which program of which document runs how, and what in it is a misprint (design.md §9).

`LOCAL` is where the documents say that the stack listens: all that differs in a test.
"""

from typing import NamedTuple
from urllib.parse import urlsplit, urlunsplit

CHRONO = "chrono-stream.md"
SAVE = "save-to-websocket.md"
CRYPTO = "crypto-streams.md"
LOCAL = {
    "stream": "ws://localhost:3000/stream",
    "ws": "ws://localhost:8080/ws",
    "candles": "ws://localhost:3004",
}

SHOW_OTHERS = """
ws.addEventListener("open", () => console.log("open"));
ws.addEventListener("message", (event) => console.log(event.data));
"""
"""What a test must add to see the answers for which the document prints no handler."""

SENT_BEFORE_OPEN = (
    'client.subscribe(["BTC/USD", "ETH/USD"]);\n',
    'client["ws"].on("open", () => client.subscribe(["BTC/USD", "ETH/USD"]));\n',
    "the TypeScript example sends before the socket is open",
)
DECLARED_TWICE = (
    'const ws = new WebSocket("ws://localhost:3000/stream");\n\n',
    "",
    "the browser snippet declares `ws` twice",
)


def address(name, urls):
    """The change of a document's address to a stack's: another port, the same host and path."""
    given = urlsplit(LOCAL[name])
    there = urlunsplit(given._replace(netloc=f"localhost:{urlsplit(urls[name]).port}"))
    return LOCAL[name], there, "where this stack listens"


def html(*scripts):
    """A page with these scripts, in order."""
    return "<!doctype html>" + "".join(f"<script>\n{one}</script>" for one in scripts)


SHORT_KEY = (
    "Sec-WebSocket-Key: SGVsbG8sIHdvcmxkIQ==",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "the curl command's key has 13 bytes, and RFC 6455 asks for 16",
)


class Program(NamedTuple):
    """A block of a page, the file that it becomes, and the runtime that takes it."""

    page: str
    heading: str
    language: str
    file: str
    runtime: str
    url: str
    misprints: tuple = ()


PROGRAMS = {
    "chrono-node": Program(
        CHRONO, "JavaScript Client", "javascript", "client.js", "node", "stream"
    ),
    "chrono-typescript": Program(
        *(CHRONO, "TypeScript Client", "typescript", "client.mts", "node", "stream"),
        (SENT_BEFORE_OPEN,),
    ),
    "chrono-python": Program(
        CHRONO, "Python Client", "python", "client.py", "old_websockets_python", "stream"
    ),
    "save-node": Program(SAVE, "Node.js", "javascript", "client.js", "node", "ws"),
    "save-python": Program(SAVE, "Python", "python", "client.py", "python", "ws"),
    "save-go": Program(SAVE, "Go", "go", "main.go", "go", "ws"),
}
