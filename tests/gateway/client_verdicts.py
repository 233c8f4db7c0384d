"""What may be answered to a client's text, and what a table has to hold after it.

Written without the code under test: by the AsyncAPI document and the rules of design.md §7.
"""

import json

FEED_OF = {"candles": "candles", "depth": "depth"}
VOLATILE = ("last_in_ms",)
NO_WANT = ("", "", "", False, "")
"""What a stored want has where it says nothing: feed, rate, interval, bare, source."""
MAX_PAIRS = 100
MAX_ANSWER_BYTES = 128 * 1024
"""What API Gateway carries."""
REFUSALS = frozenset({"VALIDATION_ERROR", "SUBSCRIPTION_LIMIT", "UNKNOWN_SYMBOL"})
DONE = frozenset({"subscribed", "unsubscribed", "pong", "registered", "candle"})


class _Ambiguous(Exception):
    """JSON that may be read in two ways, or of which it is not said whether it is any."""


def outcomes(text, before, known, check):
    """The answers that a text may have: codes of errors, or types of confirmations.

    `before` are the names subscribed to, `known` all that there are, of which each has prices
    and candles; `check` holds a client's text against the document.
    """
    verb, comma, rest = text.strip().partition(",")
    if verb in {"subscribe", "unsubscribe"}:
        pairs = [pair.strip() for pair in rest.split(",")]
        is_utf8 = text == text.encode("utf-8", "replace").decode()
        if not comma or not is_utf8 or not all(0 < len(pair) <= 64 for pair in pairs):
            return {"VALIDATION_ERROR"}
        if verb == "unsubscribe":
            many = len(set(pairs)) > MAX_PAIRS
            return {"VALIDATION_ERROR" if many else "unsubscribed"}
        return {_of_names(set(pairs), before, known, "candle")}
    try:
        message = json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
        json.dumps(message, ensure_ascii=False, allow_nan=False).encode()
        check(text)
    except (_Ambiguous, UnicodeEncodeError):
        return REFUSALS | DONE
    except (AssertionError, TypeError, ValueError, RecursionError):
        endless = "9" * 5000 in text or "1e999" in text  # numbers are not read if not needed
        return REFUSALS | DONE if endless else {"VALIDATION_ERROR"}
    return _of_message(message, before, known)


def _of_message(message, before, known):
    if message["type"] in {"ping", "unsubscribe"}:
        return {"pong" if message["type"] == "ping" else "unsubscribed"}
    if message["type"] == "register":
        is_plain = not message.get("from") and not any(message.get("filters", {}).values())
        return {"registered"} if is_plain else {"registered", "VALIDATION_ERROR"}
    names = set(message["symbols"])
    depth = "depth" in message.get("channels", ())
    one = _of_names(names, before, () if depth else known, "subscribed")
    return {one, "VALIDATION_ERROR"} if message.get("from") else {one}


def _of_names(names, before, known, done):
    if len(names) > 10:
        return "SUBSCRIPTION_LIMIT"
    if not names <= set(known):
        return "UNKNOWN_SYMBOL"
    return "SUBSCRIPTION_LIMIT" if len(before | names) > 10 else done


def _once(pairs):
    if len(dict(pairs)) < len(pairs):
        raise _Ambiguous
    return dict(pairs)


def _no_number(name):
    raise ValueError(name)


def outcome_of(answers):
    """What was answered, in the words of `outcomes`; fails unless it has what it must have."""
    told = answers[0]
    if "pair" in told:
        assert all("pair" in one for one in answers)
        return "candle"
    assert len(answers) == 1, answers
    if told.get("type") != "error":
        return told["type"]
    assert told["detail"]
    assert set(told.get("symbols", [])) or told["code"] != "UNKNOWN_SYMBOL"
    return told["code"]


class Items:
    """The items of a connection, without what each message may change."""

    def __init__(self, items):
        self.all = {
            one["pk"]["S"] + " " + one["sk"]["S"]: {
                name: value for name, value in one.items() if name not in VOLATILE
            }
            for one in items
        }
        [meta] = [one for one in self.all.values() if one["pk"]["S"].startswith("CONN#")]
        self.meta = meta
        self.names = set(meta["symbols"]["M"])
        self.subs, self.registered = {}, {}
        for one in self.all.values():
            kind, _, rest = one["pk"]["S"].partition("#")
            feed, _, name = rest.partition("#")
            if kind == "SUB":
                self.subs[feed, name.rpartition("#")[0]] = one
            elif kind == "REG":
                self.registered[feed] = one

    def __eq__(self, other):
        return self.all == other.all

    __hash__ = None

    @property
    def reserved(self):
        """What the connection's item wants of each name."""
        return {
            (name, *one, *NO_WANT[len(one) :])
            for name, text in self.meta["wants"]["M"].items()
            for one in json.loads(text["S"])
        }

    @property
    def served(self):
        """What push finds of each name."""

        def text(item, member):
            return item.get(member, {}).get("S", "")

        return {
            (
                name,
                feed,
                text(one, "rate"),
                text(one, "interval"),
                "bare" in one,
                text(one, "source"),
            )
            for (feed, name), one in self.subs.items()
        }

    def feeds(self, name):
        """What a name is served from."""
        return {feed for feed, own in self.subs if own == name}

    def without(self, names):
        """The subscriptions to all other names."""
        return {at: one for at, one in self.subs.items() if at[1] not in names}


def read_items(database, table, connection_id):
    """The connection's items as they are now, read strongly."""
    found, more = [], {}
    while more is not None:
        page = database.scan(
            TableName=table,
            ConsistentRead=True,
            FilterExpression="sk = :id OR begins_with(sk, :own)",
            ExpressionAttributeValues={
                ":id": {"S": connection_id},
                ":own": {"S": f"{connection_id}#"},
            },
            **more,
        )
        found += page["Items"]
        last = page.get("LastEvaluatedKey")
        more = {"ExclusiveStartKey": last} if last else None
    return Items(found)


def misfit(text, answers, before, after):
    """What of the state does not fit the answers; empty when all does."""
    told = answers[0]
    if told.get("type") in {"error", "pong"}:
        fault = "" if after == before else "something has changed"
    elif "pair" in told:
        fault = _of_candles({one["pair"] for one in answers}, before, after)
    else:
        fault = OF_TYPE[told["type"]](_message(text), told, before, after)
    return _contradiction(after) or fault


def _contradiction(items):
    """What of the items contradicts itself."""
    if items.names != {name for _, name in items.subs}:
        return f"{items.names} are reserved, but {set(items.subs)} are served"
    if items.reserved != items.served:
        return f"reserved are {items.reserved}, served {items.served}"
    if "register_token" in items.meta:
        return "a registration is not done"
    return f"{len(items.names)} names" if len(items.names) > 10 else ""


def _message(text):
    try:
        return json.loads(text)
    except ValueError:
        return None  # a bare command


def _of_subscribed(message, told, before, after):
    names = set(told["symbols"])
    channels = message.get("channels", ["prices"])
    price = "prices" if message.get("rate") == "all" else "ticks"
    feeds = {FEED_OF.get(channel, price) for channel in channels}
    if after.names != before.names | names:
        return f"reserved are {after.names}"
    if after.without(names) != before.without(names):
        return "other names have changed"
    for name in names:
        if after.feeds(name) != feeds:
            return f"{name} is served from {after.feeds(name)}, not {feeds}"
        rate = after.subs.get(("ticks", name), {}).get("rate", {}).get("S")
        if "ticks" in feeds and rate != message.get("rate", "1s"):
            return f"{name} has the rate {rate}"
    return "" if after.registered == before.registered else "the registration has changed"


def _of_unsubscribed(message, told, before, after):
    names = set(told["symbols"])
    if after.without(names) != before.without(names):
        return "other names have changed"
    for name in names:
        left = _left(message, name, before)
        if after.feeds(name) != left:
            return f"{name} is served from {after.feeds(name)}, not {left}"
    return "" if after.registered == before.registered else "the registration has changed"


def _left(message, name, before):
    feeds = before.feeds(name)
    if message is None:
        return {feed for feed in feeds if "bare" not in before.subs[feed, name]}
    if message.get("channels") is None:
        return set()
    ended = {FEED_OF.get(channel, "ticks") for channel in message["channels"]}
    if "ticks" in ended:
        ended.add("prices")
    return feeds - ended


def _of_registered(_message, told, before, after):
    if after.names != before.names or after.subs != before.subs:
        return "subscriptions have changed"
    held = {one["filters"]["S"] for one in after.registered.values()} - {""}
    if {json.dumps(json.loads(one)) for one in held} != {json.dumps(told["filters"])}:
        return f"registered with {held}"
    return "" if after.meta.get("registered") == {"BOOL": True} else "not registered"


def _of_candles(pairs, before, after):
    if after.names != before.names | pairs or after.without(pairs) != before.without(pairs):
        return f"reserved are {after.names}"
    for pair in pairs:
        if after.feeds(pair) != before.feeds(pair) | {"candles"}:
            return f"{pair} is served from {after.feeds(pair)}"
        if after.subs["candles", pair].get("bare") != {"BOOL": True}:
            return f"{pair} is served other candles"
    return ""


OF_TYPE = {
    "subscribed": _of_subscribed,
    "unsubscribed": _of_unsubscribed,
    "registered": _of_registered,
}


class Awaited:
    """A state that comes to fit answers; as a text, what does not fit yet."""

    def __init__(self, text, answers, before, read):
        self._given = (text, answers, before)
        self._read = read
        self.after = None

    def fits(self):
        """Whether the state fits now."""
        self.after = self._read()
        return not misfit(*self._given, self.after)

    def __str__(self):
        return f"the state's fitting ({misfit(*self._given, self.after)}) {self._given[1]}"
