"""What an exchange's HTTP status or a network failure means: one sentence that says what to do.

Used for REST answers and for the upgrade of a WebSocket alike.
"""

import math
import socket
import ssl
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from urllib.parse import urljoin, urlsplit, urlunsplit

from container_worker.exchanges.adapter import Adapter
from marketdata.errors import (
    BadCredential,
    ExchangeError,
    ExchangeUnavailable,
    RateLimited,
    RestrictedLocation,
)

_FIRST_PAUSE_S = 60
_LONGEST_PAUSE_S = 3 * 86_400
_MOST_DIGITS = 18
"""Of a number in a header: Python refuses to read one of thousands."""


def of_status(
    adapter: Adapter, url: str, status: int, headers: Mapping[str, str], body: bytes
) -> ExchangeError:
    """The error for an HTTP status that is no success; header names are lower-case.

    A `Retry-After` counts from now, in seconds or as a date (RFC 9110, 10.2.3).
    """
    host = urlsplit(url).netloc
    if status == 451:
        return RestrictedLocation(adapter.restricted)
    if status in {418, 429}:
        pause = _retry_after_s(headers, time.time(), _FIRST_PAUSE_S)
        did = "has banned this address" if status == 418 else "limits the rate of this address"
        return RateLimited(
            f"{adapter.name} {did} (HTTP {status} from {host}): trying again in {pause} s",
            retry_after_s=pause,
            is_ban=status == 418,
        )
    said = " ".join(body[:200].decode("utf-8", "replace").split())
    said = f": {said}" if said else ""
    if status == 401:
        refused = f"{host} does not accept the credential (HTTP 401){said}"
        return BadCredential(adapter.unauthorized or refused)
    if status == 403:
        return ExchangeUnavailable(
            f"{host} forbids the request (HTTP 403): a firewall of {adapter.name} or a proxy "
            f"on the way blocks this address{said}"
        )
    if status >= 500:
        return ExchangeUnavailable(
            f"{host} failed (HTTP {status}){said}",
            retry_after_s=_retry_after_s(headers, time.time(), 0),
        )
    did = f"refused the request (HTTP {status}){said}"
    if 300 <= status < 400 and "location" in headers:
        did = (
            f"sends on (HTTP {status}) to {_elsewhere(url, headers['location'])}: this is not "
            f"followed, as a token may go with it; if it is right, make it {adapter.name}'s URL"
        )
    return ExchangeError(f"{host} {did}")


def _elsewhere(url: str, location: str) -> str:
    """Where an answer sends, without what could be a secret in it."""
    try:
        there = urlsplit(urljoin(url, location))
    except ValueError:
        return "an address that is none"
    host = there.netloc.rpartition("@")[2]
    return urlunsplit((there.scheme, host, there.path, "", ""))[:200]


def of_network(url: str, error: OSError) -> ExchangeUnavailable:
    """The error for a connection that did not come about, or broke."""
    host = urlsplit(url).hostname or url
    if isinstance(error, socket.gaierror):
        text = f"the host {host} is not found: is the URL right, and does DNS work here?"
    elif isinstance(error, ssl.SSLCertVerificationError):
        text = (
            f"the certificate of {host} is not trusted ({error.verify_message}): name its "
            "authority's file in SSL_CERT_FILE"
        )
    elif isinstance(error, ssl.SSLError):
        reason = getattr(error, "reason", None) or error
        text = f"TLS with {host} failed ({reason}): is wss:// or https:// right?"
    elif isinstance(error, TimeoutError):
        text = f"{host} did not answer in time"
    elif isinstance(error, ConnectionRefusedError):
        text = f"nothing listens at {urlsplit(url).netloc}: is the URL right?"
    else:
        text = f"the connection to {host} failed: {error.strerror or error}"
    return ExchangeUnavailable(text)


def of_nonsense(url: str) -> ExchangeError:
    """The error for a request that HTTP's own rules forbid."""
    host = urlsplit(url).hostname or url
    return ExchangeError(
        f"{host} cannot be asked: it redirects to what is no address, or a header's value "
        "(a token?) has a character that HTTP does not take"
    )


def _retry_after_s(headers: Mapping[str, str], now_s: float, otherwise: int) -> int:
    text = headers.get("retry-after", "")
    if not text:
        return otherwise
    if text.isdecimal():
        seconds = int(text) if len(text) <= _MOST_DIGITS else _LONGEST_PAUSE_S
    else:
        try:
            until_s = parsedate_to_datetime(text).timestamp()
        except (ValueError, OverflowError):
            return otherwise
        seconds = math.ceil(until_s - now_s)
    return max(1, min(seconds, _LONGEST_PAUSE_S))
