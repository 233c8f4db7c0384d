"""`tapedeck keys create`, `tapedeck keys list` and `tapedeck keys revoke`.

The key goes to stdout, alone, and is nowhere else: `KEY=$(tapedeck keys create desk)`.
"""

import secrets
import sys
import time
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from marketdata.api_keys import (
    ID_BYTES,
    KEY_BYTES,
    SCOPES,
    StoredKey,
    checked_name,
    expiry_s,
    key_text,
)
from marketdata.errors import InputError
from marketdata.times import iso_ms
from tapedeck.key_store import open_store
from tapedeck.options import DEFAULT_DATA, DataOption

MOST_CONNECTIONS = 10_000
MOST_A_MINUTE = 1_000_000
WIDTH = 200
"""Wider than any table: a terminal breaks a long line, and nothing is left out of it."""

StackOption = Annotated[
    str,
    typer.Option(
        "--stack", metavar="NAME", help="A deployed stack (TapedeckStorage), not the local one."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="As one JSON object.")]
ScopeOption = Annotated[
    str,
    typer.Option("--scope", metavar="read|operate", help="operate: may change things, too."),
]
ExpiresOption = Annotated[
    str,
    typer.Option(
        "--expires", metavar="30d|DATE", help="Good for 30 days, or until a day (0:00 UTC)."
    ),
]
ConnectionsOption = Annotated[
    int | None,
    typer.Option(min=1, max=MOST_CONNECTIONS, help="Connections at a time on `stream`."),
]
RateOption = Annotated[
    int | None, typer.Option(min=1, max=MOST_A_MINUTE, help="Requests a minute.")
]
BurstOption = Annotated[
    int | None, typer.Option(min=1, max=MOST_A_MINUTE, help="Requests at once.")
]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    commands = typer.Typer(help="Make and take away API keys.", no_args_is_help=True)
    commands.command("create")(run_create)
    commands.command("list")(run_list)
    commands.command("revoke")(run_revoke)
    app.add_typer(commands, name="keys")


def run_create(  # noqa: PLR0917
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whom or what it is for.")],
    scope: ScopeOption = "read",
    expires: ExpiresOption = "",
    connections: ConnectionsOption = None,
    rate: RateOption = None,
    burst: BurstOption = None,
    stack: StackOption = "",
    data: DataOption = DEFAULT_DATA,
    json: JsonOption = False,
) -> None:
    """Make a key and print it, this one time: only its SHA-256 is stored."""
    now_ms = time.time_ns() // 1_000_000
    if scope not in SCOPES:
        raise InputError(f"--scope {scope}: must be {' or '.join(SCOPES)}")
    stored = StoredKey(
        id=secrets.token_hex(ID_BYTES),
        name=checked_name(name),
        scope=scope,
        created_ms=now_ms,
        expires_s=expiry_s(expires, now_ms // 1000) if expires else None,
        connections=connections,
        rate=rate,
        burst=burst,
    )
    store = open_store(data, stack)
    key = key_text(secrets.token_bytes(KEY_BYTES))
    store.add(key, stored)
    if json:
        print(msgspec.json.encode({"key": key, **_plain(stored)}).decode())
        return
    print(key, flush=True)
    until = iso_ms(stored.expires_s * 1000) if stored.expires_s else "it is revoked"
    print(
        f"tapedeck: key {stored.id} ({stored.name}, {scope}) of {store.place} is good until "
        f"{until}; keep it: it is shown this once",
        file=sys.stderr,
    )


def run_list(
    stack: StackOption = "", data: DataOption = DEFAULT_DATA, json: JsonOption = False
) -> None:
    """List the keys: ids, names, scopes, limits, times; what a key is made of is not stored."""
    found = open_store(data, stack).all()
    if json:
        print(msgspec.json.encode({"keys": [_plain(one) for one in found]}).decode())
    else:
        _print_table(found, time.time_ns() // 1_000_000_000)


def run_revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="As `list` has it.")],
    stack: StackOption = "",
    data: DataOption = DEFAULT_DATA,
    json: JsonOption = False,
) -> None:
    """Take a key away: no new connection at once; the keeper closes the open ones."""
    store = open_store(data, stack)
    revoked = store.revoke(key_id, time.time_ns() // 1_000_000)
    if revoked is None:
        raise InputError(
            f"{store.place} has no key {key_id}: `tapedeck keys list` has their ids"
        )
    if json:
        print(msgspec.json.encode({"revoked": _plain(revoked)}).decode())
        return
    print(
        f"key {revoked.id} ({revoked.name}) is revoked: it opens no connection any more, and "
        "the keeper closes those that it has"
    )


def _plain(stored: StoredKey) -> dict[str, Any]:
    return {
        "id": stored.id,
        "name": stored.name,
        "scope": stored.scope,
        "created": _moment(stored.created_ms),
        "expires": _moment(stored.expires_s and stored.expires_s * 1000),
        "connections": stored.connections,
        "rate": stored.rate,
        "burst": stored.burst,
    }


def _moment(time_ms: int | None) -> str | None:
    return None if time_ms is None else iso_ms(time_ms)


def _print_table(found: list[StoredKey], now_s: int) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("id", "name", "scope", "created", "expires"):
        table.add_column(title, no_wrap=True)
    for title in ("connections", "a minute", "at once"):
        table.add_column(title, justify="right", no_wrap=True)
    for one in found:
        table.add_row(*_cells(one, now_s))
    console = Console(highlight=False, markup=False, soft_wrap=True)
    console.width = max(console.width, WIDTH)
    console.print(table)


def _cells(one: StoredKey, now_s: int) -> tuple[str, ...]:
    expires = "never" if one.expires_s is None else iso_ms(one.expires_s * 1000)
    limits = (one.connections, one.rate, one.burst)
    return (
        one.id,
        one.name,
        one.scope,
        _moment(one.created_ms) or "-",
        f"{expires} (over)" if (one.expires_s or now_s + 1) <= now_s else expires,
        *("default" if number is None else f"{number:,}" for number in limits),
    )
