"""The fault JSON of `POST /_control/faults`, each kind with its bounds.

Kinds that hit frames have in common: `ticker` (`BTCUSDT`), `stream` (the part after the first
`@`, such as `depth@100ms` or `level2`; both absent = any), `connection` (an id of `GET
/_control/status`; absent = every subscriber) and `after` (matching frames that pass first).
The first four and `clock` also: `frames` (how many matching frames the fault looks at),
`probability` and `seed` (each of those is hit with that chance, repeatably). Only frames that
somebody is subscribed to are looked at; of several faults that match the one posted first acts.

    {"kind":"drop","ticker":"BTCUSDT","stream":"depth@100ms","frames":3}
    {"kind":"duplicate","frames":100,"probability":0.1,"seed":7}
    {"kind":"reorder","stream":"trade"}
        a frame that is hit comes after the next one of the same stream
    {"kind":"garbage","form":"text"|"truncated"|"binary","frames":1,"replace":true}
        without `replace` the frame itself follows
    {"kind":"stall","ticker":"BTCUSDT","seconds":5}
        nothing is sent, what is due meanwhile is lost; the socket is open, pings are answered
    {"kind":"delay","ticker":"BTCUSDT","seconds":1}
        the same, but it is sent afterwards, in order
    {"kind":"cut","how":"reset"|"close","code":1001,"reason":""}
        at once: the connection named, those with a stream of the ticker, or all; with `after`
        just before the matching frame that follows so many others
    {"kind":"refuse","status":429,"where":"rest"|"ws"|"both","requests":1,"retry_after_s":2,
     "path":"/api/v3/depth","body":"whole"|"stall"|"reset"}
        any status of 400-599 with the exchange's own sentence; `path` absent = any; of REST
        answers `stall` and `reset` break off in the body
    {"kind":"slow","seconds":2,"requests":1,"path":"/api/v3/depth"}
    {"kind":"stale_snapshot","ticker":"BTCUSDT","updates":500,"requests":1}
        where books are asked for by REST: the true book of so many updates ago
    {"kind":"clock","ticker":"BTCUSDT","ahead_s":7200,"frames":1}
        the exchange's times in the frames that are hit are so far ahead (negative: behind)
    {"kind":"server_shutdown","close_after_s":1}
        the exchange's event, where it has one, to every connection (or `connection`), then a
        close with code 1001

The answer is 201 with `{"id":N}`. `GET /_control/faults` lists every fault (with `?since=N`
those with this id and later ones) with `active` and `hits`:
`{"ticker","stream","connections","first_id","last_id","frames","lost","time_ms",
"last_time_ms"}`. Neighbouring frames of one stream are one hit; `lost` says that their ids
never reach those connections; `time_ms` is the exchange's time of the first, `last_time_ms` of
the last. `DELETE /_control/faults` ends
all that are active.
"""

from typing import Annotated, Literal

import msgspec

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Count = Annotated[int, msgspec.Meta(ge=1, le=100_000)]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=3_600)]


class _Base(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind"):
    """What every kind refuses: members that it does not have."""


class _OnFrames(_Base, frozen=True):
    """Which frames a fault looks at."""

    ticker: Name | None = None
    stream: Name | None = None
    connection: Annotated[int, msgspec.Meta(ge=1)] | None = None
    after: Annotated[int, msgspec.Meta(ge=0, le=10_000_000)] = 0
    frames: Count = 1
    probability: Annotated[float, msgspec.Meta(gt=0, le=1)] = 1.0
    seed: int = 0


class Drop(_OnFrames, frozen=True, tag="drop"):
    """Frames that are never sent."""


class Duplicate(_OnFrames, frozen=True, tag="duplicate"):
    """Frames that are sent twice."""


class Reorder(_OnFrames, frozen=True, tag="reorder"):
    """Frames that come after their successor."""


class Garbage(_OnFrames, frozen=True, tag="garbage"):
    """Something that is no message, before a frame or in its place."""

    form: Literal["text", "truncated", "binary"] = "text"
    replace: bool = False


class Clock(_OnFrames, frozen=True, kw_only=True, tag="clock"):
    """Frames with the exchange's times moved."""

    ahead_s: Annotated[int, msgspec.Meta(ge=-10_000_000, le=10_000_000)]


class _Window(_Base, frozen=True):
    """Frames of a time: from the first that matches, for `seconds`."""

    seconds: Seconds
    ticker: Name | None = None
    stream: Name | None = None
    connection: Annotated[int, msgspec.Meta(ge=1)] | None = None
    after: Annotated[int, msgspec.Meta(ge=0, le=10_000_000)] = 0


class Stall(_Window, frozen=True, tag="stall"):
    """Silence on an open socket; what is due meanwhile is lost."""


class Delay(_Window, frozen=True, tag="delay"):
    """Silence on an open socket; what is due meanwhile comes afterwards."""


class Cut(_Base, frozen=True, tag="cut"):
    """A connection that ends: a TCP reset, or a close frame with a code."""

    ticker: Name | None = None
    stream: Name | None = None
    connection: Annotated[int, msgspec.Meta(ge=1)] | None = None
    after: Annotated[int, msgspec.Meta(ge=0, le=10_000_000)] | None = None
    how: Literal["reset", "close"] = "reset"
    code: Annotated[int, msgspec.Meta(ge=1000, le=4999)] = 1001
    reason: Annotated[str, msgspec.Meta(max_length=100)] = ""

    def __post_init__(self) -> None:
        """Refuse the codes that never travel in a close frame (RFC 6455, 7.4)."""
        if self.code in {1004, 1005, 1006, 1015} or 1016 <= self.code < 3000:
            raise ValueError(f"close code {self.code} cannot be sent")


class Refuse(_Base, frozen=True, tag="refuse"):
    """Answers with an error status instead of the thing asked for."""

    status: Annotated[int, msgspec.Meta(ge=400, le=599)]
    where: Literal["rest", "ws", "both"] = "rest"
    requests: Count = 1
    retry_after_s: Annotated[int, msgspec.Meta(ge=0, le=259_200)] | None = None
    path: Name | None = None
    body: Literal["whole", "stall", "reset"] = "whole"


class Slow(_Base, frozen=True, tag="slow"):
    """REST answers that come late."""

    seconds: Seconds
    requests: Count = 1
    path: Name | None = None


class StaleSnapshot(_Base, frozen=True, tag="stale_snapshot"):
    """A `/depth` answer that is older than what the streams have sent."""

    updates: Count
    ticker: Name | None = None
    requests: Count = 1


class ServerShutdown(_Base, frozen=True, tag="server_shutdown"):
    """The `serverShutdown` event, then the close."""

    close_after_s: Seconds = 1.0
    connection: Annotated[int, msgspec.Meta(ge=1)] | None = None


FrameFault = Drop | Duplicate | Reorder | Garbage | Clock | Stall | Delay | Cut
RestFault = Refuse | Slow | StaleSnapshot
Fault = (
    Drop | Duplicate | Reorder | Garbage | Clock | Stall | Delay | Cut | Refuse | Slow
    | StaleSnapshot | ServerShutdown
)  # fmt: skip

decode_fault = msgspec.json.Decoder(Fault).decode
