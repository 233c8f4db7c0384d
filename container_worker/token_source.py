"""Stockbit's bearer token, from wherever the user keeps it (sources/stockbit-orderbook-l2.md).

STOCKBIT_TOKEN | STOCKBIT_TOKEN_FILE | STOCKBIT_TOKEN_SECRET | set_token ─► token()
"""

import re
import threading
from pathlib import Path

import boto3
import msgspec
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from container_worker.exchange_settings import StockbitSettings
from container_worker.settings import environment
from container_worker.variables import Reader
from marketdata.errors import BadCredential

_TIMEOUT_S = 3
_LARGEST_TOKEN = 64 * 1024
_BEARER = re.compile(r"\Abearer(?:\s+|$)", re.IGNORECASE)


class _Secret(msgspec.Struct, frozen=True):
    """A secret that is JSON: other members are passed over."""

    token: str


_decoder = msgspec.json.Decoder(_Secret)


class TokenManager:
    """Gives the token on demand; safe for several threads.

    Without settings the variables of this process decide. A file is read at each use, so that
    a new token is found without a restart; a secret is asked for once and again after `renew`.
    """

    def __init__(self, settings: StockbitSettings | None = None) -> None:
        self._settings = _from_environment() if settings is None else settings
        self._set = ""
        self._cached = ""
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"TokenManager({self._source()})"

    def set_token(self, token: str) -> None:
        """Takes this token from now on, whatever the variables say; empty undoes it."""
        self._set = _bare(token)

    def renew(self) -> None:
        """Forgets what was cached: the next `token` asks Secrets Manager again."""
        with self._lock:
            self._cached = ""

    def token(self) -> str:
        """The token, without `Bearer`.

        Raises:
            BadCredential: there is none, or its place cannot be read; the text names it.
        """
        settings = self._settings
        if self._set:
            return self._set
        if settings.token:
            return _bare(settings.token)
        if settings.token_file:
            return _of_file(settings.token_file)
        if settings.token_secret:
            with self._lock:
                self._cached = self._cached or _of_secret(settings.token_secret)
                return self._cached
        raise BadCredential(
            "there is no Stockbit token: set STOCKBIT_TOKEN, STOCKBIT_TOKEN_FILE or "
            "STOCKBIT_TOKEN_SECRET"
        )

    def _source(self) -> str:
        settings = self._settings
        if self._set:
            return "set_token"
        if settings.token:
            return "STOCKBIT_TOKEN"
        if settings.token_file:
            return f"STOCKBIT_TOKEN_FILE {settings.token_file}"
        return f"STOCKBIT_TOKEN_SECRET {settings.token_secret}" if settings.token_secret else ""


def _from_environment() -> StockbitSettings:
    reader = Reader(environment())
    return StockbitSettings(
        token=reader.text("STOCKBIT_TOKEN"),
        token_file=reader.text("STOCKBIT_TOKEN_FILE"),
        token_secret=reader.text("STOCKBIT_TOKEN_SECRET"),
    )


def _bare(token: str) -> str:
    return _BEARER.sub("", token.strip(), count=1)


def _of_file(path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            raw = file.read(_LARGEST_TOKEN)
    except OSError as error:
        raise BadCredential(
            f"STOCKBIT_TOKEN_FILE: {path!r} cannot be read ({error.strerror or error})"
        ) from None
    return _of_bytes(raw, f"STOCKBIT_TOKEN_FILE: {path!r}")


def _of_secret(name: str) -> str:
    config = Config(
        connect_timeout=_TIMEOUT_S, read_timeout=_TIMEOUT_S, retries={"total_max_attempts": 1}
    )
    try:
        client = boto3.client("secretsmanager", config=config)
        answer = client.get_secret_value(SecretId=name)
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "an error")
        raise BadCredential(
            f"STOCKBIT_TOKEN_SECRET: Secrets Manager does not give out {name!r} ({code}): does "
            "it exist in this region, and may this role call secretsmanager:GetSecretValue?"
        ) from None
    except BotoCoreError as error:
        raise BadCredential(
            f"STOCKBIT_TOKEN_SECRET: Secrets Manager could not be asked for {name!r}: {error}"
        ) from None
    raw = answer.get("SecretString", "").encode() or answer.get("SecretBinary", b"")
    return _of_bytes(raw, f"STOCKBIT_TOKEN_SECRET: {name!r}")


def _of_bytes(raw: bytes, what: str) -> str:
    """Plain text, or a JSON object with the member `token`."""
    text = raw.decode("utf-8", "replace").strip()
    if text.startswith("{"):
        try:
            text = _decoder.decode(text).token
        except msgspec.DecodeError:
            raise BadCredential(f'{what} is JSON without a text "token"') from None
    token = _bare(text)
    if not token:
        raise BadCredential(f"{what} holds no token")
    return token
