"""Requests to one exchange, within its budget.

RestRequest ─► budget ─► HTTP ─► body, or one of our errors
"""

import http.client
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping

from container_worker.capture import refusals
from container_worker.capture.budgets import Budgets
from container_worker.exchanges.adapter import Adapter, RestRequest
from marketdata.errors import ExchangeError, ExchangeUnavailable

_LARGEST_BODY = 64 * 1024 * 1024
_MOST_SAID = 2048


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A request may carry a token, which is for the host that the user named and no other."""

    def redirect_request(self, *_: object) -> None:
        """None: the answer is an error."""


class RestClient:
    """Waits for the budget before it sends; safe to be used by several threads."""

    def __init__(
        self,
        adapter: Adapter,
        base_url: str,
        timeout_s: float,
        stop: threading.Event,
        budgets: Budgets,
    ) -> None:
        self._adapter = adapter
        self._base = base_url
        self._timeout_s = timeout_s
        self._stop = stop
        self._budgets = budgets
        tls = urllib.request.HTTPSHandler(context=ssl.create_default_context())
        self._opener = urllib.request.build_opener(tls, _NoRedirects)

    def get(self, request: RestRequest) -> bytes:
        """The body of a successful answer.

        Raises:
            RestrictedLocation, RateLimited, BadCredential, ExchangeUnavailable, ExchangeError.
        """
        while wait_s := self._budgets.request_wait_s(request.weight, time.monotonic()):
            if self._stop.wait(wait_s):
                raise ExchangeUnavailable("the process is ending")
        try:
            return self._fetch(self._base + request.path, request)
        except ExchangeError as error:
            self._budgets.request_refused(error, time.monotonic())
            raise

    def _fetch(self, url: str, request: RestRequest) -> bytes:
        headers = {"User-Agent": "tapedeck", **dict(request.headers)}
        asked = urllib.request.Request(url, request.body, headers)  # noqa: S310 - settings allow http(s) only
        try:
            with self._opener.open(asked, timeout=self._timeout_s) as answer:
                self._observe(_lower(answer.headers.items()))
                return _whole(answer)
        except urllib.error.HTTPError as error:
            with error:
                headers, said = _lower(error.headers.items()), _said(error)
                raise refusals.of_status(
                    self._adapter, url, error.code, headers, said
                ) from error
        except urllib.error.URLError as error:
            reason = error.reason
            cause = reason if isinstance(reason, OSError) else OSError(str(reason))
            raise refusals.of_network(url, cause) from error
        except (OSError, http.client.HTTPException) as error:
            cause = error if isinstance(error, OSError) else OSError(repr(error))
            raise refusals.of_network(url, cause) from error
        except ValueError:
            # Its text may have a token in it.
            raise refusals.of_nonsense(url) from None

    def _observe(self, headers: Mapping[str, str]) -> None:
        used = self._adapter.used_weight(headers)
        if used is not None:
            self._budgets.observe(used, time.monotonic())


def _whole(answer: http.client.HTTPResponse) -> bytes:
    """The body; a part of it is none."""
    body = answer.read(_LARGEST_BODY)
    if answer.length:
        raise http.client.IncompleteRead(body, answer.length)
    return body


def _said(refusal: urllib.error.HTTPError) -> bytes:
    """What comes with a status; the status counts without it too."""
    try:
        return refusal.read(_MOST_SAID)
    except (OSError, http.client.HTTPException):
        return b""


def _lower(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers}
