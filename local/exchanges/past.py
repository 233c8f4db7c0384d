"""The trades before the simulation began, so that REST has a history to tell. Pure."""

from random import Random

from local.exchanges.candles import MINUTE_MS
from local.exchanges.fixed_point import fixed
from local.exchanges.market import MarketInstrument
from local.exchanges.trades import Trade

_MOST_A_MINUTE = 6
_MOVE = 0.0004


def past_trades(
    item: MarketInstrument, seed: int, start_ms: int, last_id: int, minutes: int
) -> list[Trade]:
    """Trades of the minutes before `start_ms`, oldest first; the newest has `last_id`.

    Their prices lead to the instrument's; about one minute in seven has none.
    """
    random = Random(f"{seed}:{item.ticker}:past")  # noqa: S311 - repeatable on purpose
    price = item.price
    found: list[Trade] = []
    for minute in range(minutes):
        end_ms = start_ms - minute * MINUTE_MS
        count = random.randint(0, _MOST_A_MINUTE)
        for time_ms in sorted(
            (end_ms - 1 - random.randrange(MINUTE_MS) for _ in range(count)), reverse=True
        ):
            trade = Trade(
                last_id - len(found),
                fixed(price, item.price_digits),
                fixed(_size(item, random), item.quantity_digits),
                time_ms,
                random.random() < 0.5,
            )
            found.append(trade)
            move = round(random.gauss(0, item.price * _MOVE) / item.tick) * item.tick
            price = max(item.tick, price + move)
    found.reverse()
    return found


def _size(item: MarketInstrument, random: Random) -> int:
    draw = int(random.expovariate(2.0) * item.size)
    return max(item.step, draw // item.step * item.step)
