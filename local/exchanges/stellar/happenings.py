"""What happens on the simulated chain: transactions and the events that they leave. Pure.

The shapes are those of SEP-41 and CAP-67: transfers of USDC and the native asset, swaps by
pools, fees and their refunds, mints, burns, approvals, events of one topic, system events.
"""

from random import Random
from typing import NamedTuple

from local.exchanges.stellar.scvals import (
    VOID,
    Val,
    address,
    i128,
    raw_bytes,
    record,
    string,
    symbol,
    u32,
    u64,
    vec,
)
from local.exchanges.stellar.strkeys import ACCOUNT, CONTRACT, all_keys

USDC = "CCW67TSZV3SSS2HXMBQ5JFGCKJNXKZM7UQUWUZPUTHXSTZLEO7SJMI75"
"""The contract of USDC on the public network, as in the documents' pipeline file."""
NATIVE = "CAS3J7GYLGXMF6TDJBBYYSE3HQ6BBSMLNUQ34T6TZMYMW2EVH34XOWMA"
_USDC_NAME = "USDC:GA5ZSEJYB37JRC5AVCIA5MOP4RHTM335X2KGX3IHOJAPP5RE34K4KZVN"
_ASSETS = {USDC: string(_USDC_NAME), NATIVE: string("native")}
_UNIT = 10**7
_ACCOUNTS, _POOLS, _APPS = 60, 6, 4
_NATIVE_IN_USDC = 0.4


class Happening(NamedTuple):
    """An event as its contract emits it; the chain adds where and when."""

    contract_id: str
    topics: tuple[Val, ...]
    value: Val
    kind: str = "contract"


class Cast:
    """Who takes part: accounts, pools and applications, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        chance = Random(f"stellar cast {seed}")  # noqa: S311 - repeatable on purpose
        self.accounts = all_keys(ACCOUNT, (chance.randbytes(32) for _ in range(_ACCOUNTS)))
        self.pools = all_keys(CONTRACT, (chance.randbytes(32) for _ in range(_POOLS)))
        self.apps = all_keys(CONTRACT, (chance.randbytes(32) for _ in range(_APPS)))


def operation(cast: Cast, chance: Random) -> list[Happening]:
    """The events of one operation, in order."""
    [kind] = chance.choices(_KINDS, _WEIGHTS)
    return kind(cast, chance)


def fee(payer: str, stroops: int) -> Happening:
    """What a transaction paid, or got back where it is negative."""
    return Happening(NATIVE, (symbol("fee"), address(payer)), i128(stroops))


def _amount(chance: Random) -> int:
    return max(1, int(chance.lognormvariate(4.0, 2.0) * _UNIT))


def _moved(token: str, sender: str, receiver: str, value: Val) -> Happening:
    topics = (symbol("transfer"), address(sender), address(receiver), _ASSETS[token])
    return Happening(token, topics, value)


def _transfer(cast: Cast, chance: Random) -> list[Happening]:
    token = USDC if chance.random() < 0.6 else NATIVE
    sender, receiver = chance.sample(cast.accounts, 2)
    value = i128(_amount(chance))
    if chance.random() < 0.05:
        value = record([("amount", value), ("to_muxed_id", u64(chance.getrandbits(32)))])
    return [_moved(token, sender, receiver, value)]


def _swap(cast: Cast, chance: Random) -> list[Happening]:
    number = chance.randrange(len(cast.pools))
    pool, trader = cast.pools[number], chance.choice(cast.accounts)
    sold, bought = chance.sample((USDC, NATIVE), 2)
    paid = _amount(chance)
    rate = _NATIVE_IN_USDC * chance.uniform(0.98, 1.02)
    got = max(1, int(paid * 0.997 * (1 / rate if sold == USDC else rate)))
    parts = [_moved(sold, trader, pool, i128(paid)), _moved(bought, pool, trader, i128(got))]
    if number % 2:
        topics = (symbol("trade"), address(sold), address(bought), address(trader))
        value = vec([i128(paid), i128(got), i128(paid * 3 // 1000)])
    else:
        topics = (symbol("swap"), address(trader), address(sold), address(bought))
        value = record([("amount_in", i128(paid)), ("amount_out", i128(got))])
    return [*parts, Happening(pool, topics, value)]


def _supply(cast: Cast, chance: Random) -> list[Happening]:
    name, holder = chance.choice(("mint", "burn")), chance.choice(cast.accounts)
    topics = (symbol(name), address(holder), _ASSETS[USDC])
    return [Happening(USDC, topics, i128(_amount(chance)))]


def _approval(cast: Cast, chance: Random) -> list[Happening]:
    holder, spender = chance.choice(cast.accounts), chance.choice(cast.pools)
    topics = (symbol("approve"), address(holder), address(spender), _ASSETS[USDC])
    value = vec([i128(_amount(chance)), u32(chance.randrange(60_000_000, 80_000_000))])
    return [Happening(USDC, topics, value)]


def _one_topic(cast: Cast, chance: Random) -> list[Happening]:
    app, number = chance.choice(cast.apps), chance.randrange(10_000)
    name, value = chance.choice(
        (("sync", record([("reserve_0", i128(number)), ("reserve_1", i128(-number))])),
         ("heartbeat", VOID), ("root", raw_bytes(chance.randbytes(32))))
    )  # fmt: skip
    return [Happening(app, (symbol(name),), value)]


def _system(cast: Cast, chance: Random) -> list[Happening]:
    before, after = (raw_bytes(chance.randbytes(32)) for _ in range(2))
    topics = (symbol("executable_update"), vec([symbol("Wasm"), before]),
              vec([symbol("Wasm"), after]))  # fmt: skip
    return [Happening(chance.choice(cast.apps), topics, vec([]), "system")]


_KINDS = (_transfer, _swap, _supply, _approval, _one_topic, _system)
_WEIGHTS = (60, 20, 6, 5, 8, 1)
