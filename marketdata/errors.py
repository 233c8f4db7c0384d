"""Every error that Tapedeck raises on purpose.

TapedeckError
├── InputError               what the user gave is wrong: exit 2
│   ├── SettingsError        variables or options, all faults at once
│   ├── StreamsFileError     the YAML of `capture --streams`
│   └── TopicMismatch        a topic that is not as `marketdata.topics` says
├── DecodeError              a frame, record or body that is not what its type says
├── ExchangeError            an exchange refused or failed
│   ├── RestrictedLocation   HTTP 451: permanent for this address
│   ├── RateLimited          HTTP 418 or 429, with the seconds to wait
│   ├── UnknownTicker        the exchange does not list it
│   ├── BadCredential        a token that is missing, expired or refused
│   ├── OutOfWindow          the node has not, or not yet, what was asked for
│   └── ExchangeUnavailable  network, 5xx, time-out: worth another try
├── BrokerError              Kafka
│   └── BrokerUnavailable    worth another try
├── StoreError               S3 or DynamoDB
│   ├── StoreUnavailable     worth another try
│   ├── StoreConflict        a condition did not hold: look again and decide (rule 15)
│   └── ArchiveConflict      an object that contradicts the topic: stop this partition
├── GatewayUnavailable       the management API of the client WebSockets: worth another try
├── ClientError              a client's message, answered with an `error` of the protocol
├── RequestError             a request to the HTTP API, answered with 400 or 404
├── BuildError               the functions' code could not be staged for a deployment
├── LocalError               the stack on this machine: ports, folders, processes
└── ThreadDied               a thread ended on what nobody expected: a bug
"""

from collections.abc import Sequence


class TapedeckError(Exception):
    """Root of the tree; its text is one sentence for the person who reads it."""


class InputError(TapedeckError):
    """Something that the user gave is wrong; a command exits with 2."""


class SettingsError(InputError):
    """Variables or options that are missing, bad or unknown; `faults` names all of them."""

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(self.faults))


class StreamsFileError(InputError):
    """The streams file cannot be used; the text names the stream and the key."""


class TopicMismatch(InputError):
    """A Kafka topic whose partition count is not the fixed one (rule 3)."""


class DecodeError(TapedeckError):
    """Bytes that are not what their type says; `reason` is short and has no payload in it."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class ExchangeError(TapedeckError):
    """An exchange refused a request or failed."""


class RestrictedLocation(ExchangeError):
    """HTTP 451: the exchange does not serve this address; trying again does not help."""


class RateLimited(ExchangeError):
    """HTTP 418 or 429; `retry_after_s` is what the exchange asked for, or our own guess.

    `is_ban`: it serves this address nothing at all meanwhile.
    """

    def __init__(self, message: str, *, retry_after_s: float, is_ban: bool = False) -> None:
        self.retry_after_s = retry_after_s
        self.is_ban = is_ban
        super().__init__(message)


class UnknownTicker(ExchangeError):
    """The exchange's instrument list has no such ticker."""


class BadCredential(ExchangeError):
    """A token that is missing, expired or refused; the text says where a new one goes."""


class OutOfWindow(ExchangeError):
    """What was asked for lies outside what the node has, `oldest` to `latest`, both in."""

    def __init__(self, message: str, *, oldest: int, latest: int) -> None:
        self.oldest = oldest
        self.latest = latest
        super().__init__(message)


class ExchangeUnavailable(ExchangeError):
    """A network error, a time-out or a 5xx: worth another try, after `retry_after_s`."""

    def __init__(self, message: str, *, retry_after_s: float = 0.0) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(message)


class BrokerError(TapedeckError):
    """Kafka refused something; trying again does not help."""


class BrokerUnavailable(BrokerError):
    """Kafka did not answer; worth another try."""


class StoreError(TapedeckError):
    """S3 or DynamoDB refused something."""


class StoreUnavailable(StoreError):
    """S3 or DynamoDB did not answer; worth another try."""


class StoreConflict(StoreError):
    """A conditional write was refused, or what it builds on is gone: look again and decide."""


class ArchiveConflict(StoreError):
    """An archive object that cannot come from this topic (rule 13)."""


class GatewayUnavailable(TapedeckError):
    """The clients' gateway did not answer, or refuses everything; worth another try."""


class ClientError(TapedeckError):
    """A client's message that cannot be served; `code` and `message` are the document's.

    `detail` says what was wrong and names it; `symbols` lists the symbols concerned.
    `retry_after_s` is when another try may work, `dropped` how many events were left out.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        detail: str = "",
        symbols: Sequence[str] = (),
        retry_after_s: int = 0,
        dropped: int = 0,
    ) -> None:
        self.code = code
        self.message = message
        self.detail = detail
        self.symbols = tuple(symbols)
        self.retry_after_s = retry_after_s
        self.dropped = dropped
        super().__init__(detail or message)


class RequestError(TapedeckError):
    """A request to the HTTP API that cannot be served: `VALIDATION_ERROR` or `NOT_FOUND`."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)


class BuildError(TapedeckError):
    """The functions' code could not be staged; the text ends with the installer's own words."""


class LocalError(TapedeckError):
    """The stack on this machine cannot start or go on: a port, a folder, a process."""


class ThreadDied(TapedeckError):
    """A thread ended on what nobody expected; its traceback is in the log."""
