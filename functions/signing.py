"""Signature version 4 of many small requests: what is constant in them is computed once.

credentials, moment ─► Signer ─ path, body ─► the headers of one request
"""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

SERVICE = "execute-api"


@dataclass(frozen=True, slots=True)
class Credentials:
    """An access key; `token` is there for a role and absent for a user."""

    access_key: str
    secret_key: str
    token: str | None = None


class Signer:
    """Signs requests to one host at one moment; good for five minutes after it.

    The text that is signed differs between two requests only in the method, the path and
    the body's hash; the key is derived once.
    """

    def __init__(
        self, credentials: Credentials, *, region: str, host: str, now_s: float
    ) -> None:
        moment = f"{datetime.fromtimestamp(now_s, UTC):%Y%m%dT%H%M%SZ}"
        scope = f"{moment[:8]}/{region}/{SERVICE}/aws4_request"
        signed = {"host": host, "x-amz-date": moment}
        if credentials.token:
            signed["x-amz-security-token"] = credentials.token
        names = ";".join(signed)
        lines = "".join(f"{name}:{value}\n" for name, value in signed.items())
        self._after_path = f"\n\n{lines}\n{names}\n".encode()
        self._to_sign = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n".encode()
        sent = "".join(
            f"{name}: {value}\r\n" for name, value in signed.items() if name != "host"
        )
        self._headers = (
            f"{sent}authorization: AWS4-HMAC-SHA256 "
            f"Credential={credentials.access_key}/{scope}, SignedHeaders={names}, Signature="
        )
        self._hmac = hmac.new(_key(credentials.secret_key, scope), digestmod="sha256")

    def headers(self, path: str, body_hash: str, *, method: str = "POST") -> str:
        """The header lines of a request, as they go over the wire, `Host` excepted.

        `path` is percent-encoded; `body_hash` is the SHA-256 of the body in hexadecimal.
        """
        # The rule for every service but S3: the encoded path is encoded once more.
        canonical = b"%b\n%b%b%b" % (
            method.encode(),
            quote(path, safe="/~").encode(),
            self._after_path,
            body_hash.encode(),
        )
        signature = self._hmac.copy()
        signature.update(self._to_sign + hashlib.sha256(canonical).hexdigest().encode())
        return f"{self._headers}{signature.hexdigest()}\r\n"


def _key(secret: str, scope: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
