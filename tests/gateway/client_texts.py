"""Texts that a client may send, good and bad: strategies of hypothesis.

pieces of JSON ─► members, twice or in any order ─► messages, broken ones, anything else
"""

import json

from hypothesis import strategies as st

KNOWN = ("BTC/USDT", "BTCUSDT", "ETH/USDT", *(f"C{number}/USDT" for number in range(11)))
ODD_NAMES = ("btc/usdt", "NO/SUCH", "", " ", "x" * 64, "x" * 65, "NAME#BTC/USDT", "é\0,")
ADDRESS = "GA5ZSEJYB37JRC5AVCIA5MOP4RHTM335X2KGX3IHOJAPP5RE34K4KZVN"

ANY_TEXT = st.text(st.characters(), max_size=70)  # half surrogates are among them
ANY_NUMBER = st.integers() | st.floats() | st.sampled_from([2**63, -(2**64), 10**400])
ANY = st.recursive(
    st.none() | st.booleans() | ANY_NUMBER | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=8,
)
RAW = st.sampled_from(
    [
        "NaN",
        "-Infinity",
        "1e999",
        "-0.0",
        "9" * 5000,
        '"\\ud800"',
        '"\\udc00\\ud800"',
        *(
            f"{opened * depth}1{closed * depth}"
            for opened, closed in ("[]", ('{"a":', "}"))
            for depth in (40, 5000)
        ),
        json.dumps([f"S{number}" for number in range(5000)]),
    ]
)
"""Values that Python's own encoder does not write."""


def or_anything(likely):
    """JSON texts of `likely` values, and now and then of any others."""
    written = likely.map(json.dumps)
    return st.one_of(written, written, written, ANY.map(json.dumps), RAW)


NAMES = st.lists(st.sampled_from(KNOWN), min_size=1, max_size=4)
LIKELY_NAMES = st.lists(
    st.sampled_from((*KNOWN, *KNOWN, "NO/SUCH", "btc/usdt")), min_size=1, max_size=6
)
LIKELY_CHANNELS = (["prices"], ["candles"], ["candles", "prices"], ["prices", "depth"])
ODD = st.lists(st.sampled_from((*KNOWN, *ODD_NAMES)) | ANY_TEXT, max_size=13)
CURSOR = st.sampled_from(
    [
        "ticks:ticks:0:1",
        "events:events:2:99999999999999999999",
        "events:events:99:0",
        "a:b:-1:0",
        "a:b:٣:0",
        "ticks",
        "::::",
        f"events:e:{'1' * 5000}:0",
        f"events:e:0:{'1' * 5000}",
    ]
)
VALUES = st.lists(st.sampled_from(["USDC", "native", ADDRESS, "", "x" * 129]), max_size=3)
FILTERS = st.fixed_dictionaries(
    {},
    optional={
        "types": st.lists(
            st.sampled_from(["payment", "trade", "candle", "depth", "price_update", "x"]),
            max_size=3,
        ),
        "account_ids": VALUES | ANY,
        "asset_codes": VALUES | st.none(),
        "min_amount": st.sampled_from(["", "0", "12.5", "1e3", "1e999999", "-1", "much", 7])
        | ANY,
    },
)
GOOD_FILTERS = st.fixed_dictionaries(
    {"types": st.lists(st.sampled_from(["payment", "trade", "candle", "depth"]), max_size=3)},
    optional={
        "account_ids": st.just([ADDRESS]) | st.none(),
        "asset_codes": st.sampled_from([["USDC", "native"], [], ["é" * 128]]),
        "min_amount": st.sampled_from(["", "0", "12.50000001", "1e3", 7, 10**30]),
    },
)
MEMBERS = {
    "symbols": or_anything(NAMES | ODD | st.none()),
    "channels": or_anything(
        st.lists(st.sampled_from(["prices", "prices", "candles", "depth", "all"]), max_size=3)
    ),
    "rate": or_anything(st.sampled_from(["10s", "1s", "250ms", "all", "2s"])),
    "interval": or_anything(st.sampled_from(["1m", "1d", "2m"])),
    "resume": or_anything(st.booleans()),
    "from": or_anything(st.lists(CURSOR, max_size=3) | st.none()),
    "filters": or_anything(FILTERS),
    "type": or_anything(st.sampled_from(["ping", "subscribe"])),
    "more": or_anything(ANY),
}
TYPES = ("subscribe", "unsubscribe", "ping", "register")
STRANGE_TYPES = (
    "$connect",
    "$disconnect",
    "$default",
    "Subscribe",
    "subscribed",
    "",
    "welcome",
)
HAS = {
    "subscribe": ("channels", "rate", "interval", "resume", "from", "more", "type", "symbols"),
    "unsubscribe": ("symbols", "channels", "more"),
    "ping": ("more", "type", "symbols"),
    "register": ("filters", "resume", "from", "more"),
}


@st.composite
def messages(draw):
    """The text of an object with a type and some of its members, some twice, in any order."""
    kind = draw(st.sampled_from(TYPES))
    given = [("type", json.dumps(kind))]
    if kind == "subscribe" and draw(st.integers(0, 9)):
        given.append(("symbols", draw(MEMBERS["symbols"])))
    more = draw(st.lists(st.sampled_from(HAS[kind]), max_size=3))
    given += [(name, draw(MEMBERS[name])) for name in more]
    given = draw(st.permutations(given))
    return "{" + ",".join(f'"{name}":{value}' for name, value in given) + "}"


@st.composite
def likely_messages(draw):
    """A message that is mostly taken, or refused for what there is and what there is not."""
    kind = draw(st.sampled_from(("subscribe", "subscribe", *TYPES)))
    message = {"type": kind}
    if kind == "subscribe":
        message["symbols"] = draw(LIKELY_NAMES)
        message["channels"] = draw(st.sampled_from(LIKELY_CHANNELS))
        message["rate"] = draw(st.sampled_from(["10s", "1s", "250ms", "all"]))
        message["resume"] = draw(st.booleans())
    elif kind == "unsubscribe" and draw(st.booleans()):
        message["symbols"] = draw(LIKELY_NAMES)
        if draw(st.booleans()):
            message["channels"] = draw(st.sampled_from([["prices"], ["candles", "depth"]]))
    elif kind == "register":
        message["filters"] = draw(st.one_of(GOOD_FILTERS, FILTERS))
        if not draw(st.integers(0, 4)):
            message["from"] = [draw(CURSOR)]
    return json.dumps(message)


def _broken(text, at, more):
    at %= len(text) + 1
    return text[:at] + more + text[at + len(more) :]


SPOILT = st.builds(
    _broken,
    messages(),
    st.integers(0, 200),
    st.sampled_from(["", '"', "}", "\0", "\ufeff", ","]),
)
COMMANDS = st.builds(
    lambda verb, pairs: ",".join((verb, *pairs)),
    st.sampled_from(["subscribe", "subscribe", "unsubscribe", "subscribe ", "Subscribe"]),
    st.one_of(NAMES, ODD),
)
OTHERS = st.one_of(
    ANY_TEXT,
    ANY.map(json.dumps),
    RAW,
    st.sampled_from(STRANGE_TYPES).map(lambda kind: json.dumps({"type": kind})),
    ANY.map(lambda kind: json.dumps({"type": kind})),
    st.just("unsubscribe," + ",".join(f"S{number}" for number in range(20_000))),
)
WEIGHTS = [(likely_messages(), 5), (messages(), 3), (SPOILT, 1), (COMMANDS, 2), (OTHERS, 2)]
TEXTS = st.sampled_from([each for each, weight in WEIGHTS for _ in range(weight)]).flatmap(
    lambda kind: kind
)
"""Anything that an event may bring: half surrogates, too, that no frame can have."""
FRAMES = TEXTS.map(lambda text: text.encode("utf-8", "replace").decode())
"""Anything that a WebSocket's frame can have."""

TOUR = [
    json.dumps({"type": kind, **members})
    for kind, members in [
        ("subscribe", {"symbols": KNOWN[:9], "rate": "all"}),
        ("subscribe", {"symbols": KNOWN[8:12]}),
        ("subscribe", {"symbols": [KNOWN[9]], "channels": ["candles", "prices"]}),
        ("subscribe", {"symbols": [KNOWN[0], "NO/SUCH"]}),
        ("subscribe", {"symbols": [KNOWN[0]], "channels": ["prices", "depth"]}),
        ("subscribe", {"symbols": KNOWN[1:3], "resume": True, "from": ["ticks:ticks:0:1"]}),
        ("unsubscribe", {"symbols": KNOWN[1:5], "channels": ["candles"]}),
        ("unsubscribe", {"symbols": [KNOWN[9]], "channels": ["candles"]}),
        ("register", {"filters": {"types": ["payment"], "min_amount": "12.5"}, "from": []}),
        ("register", {"filters": {"types": ["depth"], "asset_codes": ["native"]}}),
        ("register", {"from": ["events:events:0:1"]}),
        ("register", {"filters": {"min_amount": "much"}}),
        ("unsubscribe", {"symbols": KNOWN[:2]}),
    ]
]
TOUR[3:3] = [f"subscribe,{','.join(KNOWN[:3])}", f"subscribe,{KNOWN[11]}", "subscribe,no/such"]
TOUR += [f"unsubscribe,{KNOWN[2]}", '{"type":"unsubscribe"}', '{"type":"ping"}']
"""Every kind of answer, so that none is left to chance."""
