"""What an S3 request means for the lock: which keys it needs and which conditions it sets.

Pure: no socket. Path-style addresses only.

    method, path, query, headers ─► S3Request
"""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs, quote, unquote, urlencode
from xml.sax.saxutils import escape

import msgspec

IF_MATCH = "If-Match"
IF_NONE_MATCH = "If-None-Match"
COPY_SOURCE = "x-amz-copy-source"
COPY_IF_MATCH = "x-amz-copy-source-if-match"
COPY_IF_NONE_MATCH = "x-amz-copy-source-if-none-match"
READS = {"GET", "HEAD"}
LISTING = {
    *("list-type", "prefix", "delimiter", "max-keys", "marker", "start-after", "encoding-type"),
    *("continuation-token", "fetch-owner"),
}
SUBRESOURCES = {"acl", "tagging", "retention", "legal-hold", "torrent", "attributes"}


class Condition(msgspec.Struct, frozen=True):
    """A condition on an object's ETag; None where the request does not set it."""

    path: str
    match: str | None
    none_match: str | None

    @property
    def empty(self) -> bool:
        """Whether nothing is asked."""
        return self.match is None and self.none_match is None


class Upload(msgspec.Struct, frozen=True):
    """The multipart upload that a part belongs to; it must be in progress."""

    bucket: str
    key: str
    upload_id: str

    @property
    def listing(self) -> str:
        """The request that lists the uploads in progress of keys that begin with this one."""
        return f"/{quote(self.bucket)}?{urlencode({'uploads': '', 'prefix': self.key})}"

    def listed_in(self, answer: str) -> bool:
        """Whether that list has it."""
        return f"<UploadId>{escape(self.upload_id)}</UploadId>" in answer


@dataclass(frozen=True, slots=True)
class S3Request:
    """One request, as far as the lock is concerned; keys are `bucket/key`.

    `spooled` bodies are taken from the client before the lock, so that a client that stalls
    does not hold it; the other bodies are passed on as they come.
    """

    shared: tuple[str, ...] = ()
    exclusive: tuple[str, ...] = ()
    target: Condition | None = None
    source: Condition | None = None
    spooled: bool = False
    lists: bool = False
    deletes_many: bool = False
    upload: Upload | None = None

    @property
    def locks(self) -> dict[str, bool]:
        """The keys to hold; True is exclusive and wins over shared."""
        return dict.fromkeys(self.shared, False) | dict.fromkeys(self.exclusive, True)


def understand(method: str, path: str, query: str, headers: Mapping[str, str]) -> S3Request:
    """Classify a request by method, percent-encoded path and query, and headers."""
    name = unquote(path).lstrip("/")
    bucket, _, key = name.partition("/")
    asked = parse_qs(query, keep_blank_values=True)
    if not key:
        many = method == "POST" and "delete" in asked
        lists = method == "GET" and bool(bucket) and not (set(asked) - LISTING)
        return S3Request(spooled=many, lists=lists, deletes_many=bool(bucket) and many)
    if method in READS:
        return S3Request(shared=(name,))
    if method == "PUT":
        return _put(name, path, asked, headers)
    if method == "POST":
        completes = "uploadId" in asked
        return S3Request(
            exclusive=(name,) if completes else (),
            target=_condition(path, headers, IF_MATCH, IF_NONE_MATCH) if completes else None,
            spooled=True,
        )
    return S3Request(
        exclusive=(name,), target=_condition(path, headers, IF_MATCH, IF_NONE_MATCH)
    )


def _put(
    name: str, path: str, asked: Mapping[str, list[str]], headers: Mapping[str, str]
) -> S3Request:
    source_path = headers.get(COPY_SOURCE)
    part = _upload(name, asked)
    if source_path is None and part:
        return S3Request(upload=part)  # nobody else can see a part, so it needs no turn
    if source_path is None:
        subresource = bool(SUBRESOURCES & set(asked))
        target = None if subresource else _condition(path, headers, IF_MATCH, IF_NONE_MATCH)
        return S3Request(exclusive=(name,), target=target, spooled=True)
    source_path = "/" + source_path.partition("?")[0].lstrip("/")
    return S3Request(
        shared=(unquote(source_path).lstrip("/"),),
        exclusive=() if part else (name,),
        target=None if part else _condition(path, headers, IF_MATCH, IF_NONE_MATCH),
        source=_condition(source_path, headers, COPY_IF_MATCH, COPY_IF_NONE_MATCH),
        spooled=True,
        upload=part,
    )


def _upload(name: str, asked: Mapping[str, list[str]]) -> Upload | None:
    bucket, _, key = name.partition("/")
    return Upload(bucket, key, asked["uploadId"][0]) if "uploadId" in asked else None


def _condition(
    path: str, headers: Mapping[str, str], match: str, none_match: str
) -> Condition | None:
    condition = Condition(path, headers.get(match), headers.get(none_match))
    return None if condition.empty else condition


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error as S3 answers it."""

    status: int
    code: str
    message: str

    def xml(self, resource: str) -> str:
        """The body."""
        return (
            '<?xml version="1.0" encoding="UTF-8"?>\n<Error>'
            f"<Code>{self.code}</Code><Message>{escape(self.message)}</Message>"
            f"<Resource>{escape(resource)}</Resource></Error>"
        )


NO_SUCH_KEY = Refusal(404, "NoSuchKey", "The specified key does not exist.")
NO_SUCH_UPLOAD = Refusal(
    404,
    "NoSuchUpload",
    "The specified multipart upload does not exist: it was completed, aborted or never begun.",
)
FAILED = Refusal(
    412,
    "PreconditionFailed",
    "At least one of the pre-conditions you specified did not hold",
)
UNAVAILABLE = Refusal(503, "ServiceUnavailable", "The object store does not answer yet.")
FOREIGN = Refusal(403, "AccessDenied", "Requests of other sites are refused.")


def refusal(condition: Condition, etag: str | None) -> Refusal | None:
    """Whether a condition forbids the write, given the object's ETag (None: no object).

    As S3 does: `If-Match` on what is not there is 404, everything else 412.
    """
    if condition.match is not None:
        if etag is None:
            return NO_SUCH_KEY
        if not _matches(condition.match, etag):
            return FAILED
    if condition.none_match is not None and etag is not None:
        return FAILED if _matches(condition.none_match, etag) else None
    return None


def _matches(pattern: str, etag: str) -> bool:
    wanted = [one.strip().strip('"') for one in pattern.split(",")]
    return "*" in wanted or etag.strip('"') in wanted
