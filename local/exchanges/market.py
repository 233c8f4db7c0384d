"""A seeded market for one ticker of any exchange: a random-walk book, trades that move it.

    advance(now) ─► one update id per changed level ─► Ladder
                 └► happenings in order: trades, best-price changes

Pure: time is an argument; the same seed and the same times make the same market.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random
from types import MappingProxyType

from local.exchanges.fixed_point import fixed
from local.exchanges.ladder import ASK, BID, Change, Ladder
from local.exchanges.trades import AggTrade, Trade

LEVELS = 2_000
UPDATES_PER_SECOND = 150
_LONGEST_STEP_MS = 1_000
_IDS_A_MS = 16
"""More than a market at a hundred times the usual pace uses up."""

# Cumulative chances of a market order, a changed level and a new level; else a removal.
_MARKET, _CHANGE, _NEW = 0.05, 0.55, 0.79

Happening = Trade | AggTrade | tuple[int, str, str]

Ids = Mapping[str, int]
"""How far a ticker is, by the names of what its exchange counts."""

NO_IDS: Ids = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class MarketInstrument:
    """What is simulated; `price`, `tick`, `step` and `size` (a usual level) in 10^-8.

    The digits are those of its texts: so many after the point, as few as needed for None.
    """

    ticker: str
    base: str
    quote: str
    price: int
    tick: int
    step: int
    size: int
    price_digits: int | None = 8
    quantity_digits: int | None = 8


class BookWalk:
    """One ticker's market of `levels` a side, at least 50; more of them cost more.

    `ladder` is its true book, with one id for each changed level. `changed` collects (side,
    price) for whoever empties it; nobody else does. The ids go on from those of an earlier
    market, `after`: the book that it begins with is one update.
    """

    def __init__(
        self,
        instrument: MarketInstrument,
        seed: int,
        start_ms: int,
        *,
        levels: int = LEVELS,
        updates_per_second: int = UPDATES_PER_SECOND,
        after: Ids = NO_IDS,
    ) -> None:
        self.instrument = instrument
        self._levels = levels
        self._slack = max(1, levels // 40)
        self._pace = updates_per_second
        self.ladder = Ladder()
        self._random = Random(f"{seed}:{instrument.ticker}")  # noqa: S311 - repeatable on purpose
        self._quantities: tuple[dict[int, int], dict[int, int]] = ({}, {})
        self._time_ms = start_ms
        self._owed = 0
        self._lean = 0.5
        # Ids begin with the clock: a market that is started again never goes back in them.
        first_id = start_ms * _IDS_A_MS + self._random.randrange(_IDS_A_MS)
        self.trade_id = after.get("trade_id", first_id)
        self.agg_id = after.get("agg_id", self.trade_id // 2)
        self._happenings: list[Happening] = []
        self.changed: list[tuple[int, int]] = []
        first_id = start_ms * _IDS_A_MS + self._random.randrange(_IDS_A_MS)
        self._open(after["update_id"] + 1 if "update_id" in after else first_id)

    def _open(self, update_id: int) -> None:
        tick = self.instrument.tick
        changes = []
        for side, sign in ((BID, -1), (ASK, 1)):
            price = self.instrument.price // tick * tick
            for _ in range(self._levels):
                price += sign * tick * self._gap()
                if price <= 0:
                    break
                self._quantities[side][price] = quantity = self._quantity()
                changes.append(Change(side, price, self._level(price, quantity)))
        self.ladder.load(update_id, changes)

    def _gap(self) -> int:
        """Ticks between neighbours: about twelve, less where the price has few ticks."""
        mean = min(12, self.instrument.price // self.instrument.tick // (2 * self._levels))
        return 1 + int(self._random.expovariate(1 / (mean - 1))) if mean > 1 else 1

    def _quantity(self) -> int:
        step = self.instrument.step
        draw = int(self._random.expovariate(1.0) * self.instrument.size)
        return max(step, draw // step * step)

    def ids(self) -> Ids:
        """How far the market is: what another one takes as `after`."""
        return {
            "update_id": self.ladder.last_id,
            "trade_id": self.trade_id,
            "agg_id": self.agg_id,
        }

    def advance(self, now_ms: int) -> list[Happening]:
        """Live until `now_ms`; more than a second at once has one second's activity."""
        elapsed = now_ms - self._time_ms
        if elapsed <= 0:
            return []
        self._owed += min(elapsed, _LONGEST_STEP_MS) * self._pace
        count, self._owed = divmod(self._owed, 1000)
        began = self._time_ms
        for number in range(count):
            self._time_ms = began + elapsed * (number + 1) // count
            self._one_update()
        self._time_ms = now_ms
        happenings, self._happenings = self._happenings, []
        return happenings

    def _one_update(self) -> None:
        before = self._bests()
        draw = self._random.random()
        side = BID if self._random.random() < 0.5 else ASK
        if draw < _MARKET:
            self._market_order()
        elif draw < _CHANGE:
            self._put(side, self._near(side), self._quantity())
        elif draw < _NEW:
            self._new_level(side)
        else:
            self._remove_level(side)
        self._keep_depth(side)
        after = self._bests()
        if after != before:
            self._happenings.append((self.ladder.last_id, *after))

    def _bests(self) -> tuple[str, str]:
        return self.ladder.best_level(BID), self.ladder.best_level(ASK)

    def _near(self, side: int) -> int:
        rank = int(self._random.expovariate(0.06))
        return self.ladder.price_at(side, min(rank, self.ladder.count(side) - 1))

    def _new_level(self, side: int) -> None:
        """An order inside the spread where there is room, else behind; never crossing."""
        tick = self.instrument.tick
        sign = 1 if side == ASK else -1
        best, other = self.ladder.price_at(side, 0), self.ladder.price_at(1 - side, 0)
        room = abs(best - other) // tick - 1
        if room > 0 and self._random.random() < 0.5:
            price = best - sign * tick * self._random.randint(1, min(room, 5))
        else:
            price = best + sign * tick * int(self._random.expovariate(0.02))
        if price > 0:
            self._put(side, price, self._quantity())

    def _remove_level(self, side: int) -> None:
        if self.ladder.count(side) > self._levels - self._slack:
            self._put(side, self._near(side), 0)

    def _keep_depth(self, side: int) -> None:
        count = self.ladder.count(side)
        if count > self._levels + self._slack:
            self._put(side, self.ladder.price_at(side, -1), 0)
        elif count < self._levels:
            sign = 1 if side == ASK else -1
            price = self.ladder.price_at(side, -1) + sign * self.instrument.tick * self._gap()
            if price > 0:
                self._put(side, price, self._quantity())

    def _market_order(self) -> None:
        """An aggressor takes up to three levels; far from home it leans homeward."""
        if self._random.random() < 0.1:
            self._lean = self._random.uniform(0.35, 0.65)
        side = ASK if self._random.random() < self._homeward(self._lean) else BID
        size = int(self._best_quantity(side) * self._random.choice((0.1, 0.3, 0.6, 1.0, 1.8)))
        step = self.instrument.step
        size = max(step, size // step * step)
        for _ in range(3):
            price = self.ladder.price_at(side, 0)
            held = self._quantities[side][price]
            taken = min(size, held)
            self._trade(side, price, taken)
            self._put(side, price, held - taken)
            size -= taken
            if not size:
                return

    def _best_quantity(self, side: int) -> int:
        return self._quantities[side][self.ladder.price_at(side, 0)]

    def _homeward(self, lean: float) -> float:
        price, home = self.ladder.price_at(BID, 0), self.instrument.price
        if price > home * 3 // 2:
            return 0.2
        return 0.8 if price < home * 2 // 3 else lean

    def _trade(self, side: int, price: int, quantity: int) -> None:
        """One fill: one to three trades at one price, and their aggregate."""
        maker_bought = side == BID
        first, text = self.trade_id + 1, self.price_text(price)
        for part in self._parts(quantity):
            self.trade_id += 1
            self._happenings.append(
                Trade(
                    self.trade_id, text, self.quantity_text(part), self._time_ms, maker_bought
                )
            )
        self.agg_id += 1
        self._happenings.append(
            AggTrade(
                self.agg_id, text, self.quantity_text(quantity), first, self.trade_id,
                self._time_ms, maker_bought,
            )
        )  # fmt: skip

    def _parts(self, quantity: int) -> Iterator[int]:
        steps = quantity // self.instrument.step
        for _ in range(self._random.choice((0, 0, 0, 1, 2))):
            if steps < 2:
                break
            part = self._random.randint(1, steps - 1)
            steps -= part
            yield part * self.instrument.step
        yield steps * self.instrument.step

    def _put(self, side: int, price: int, quantity: int) -> None:
        if quantity:
            self._quantities[side][price] = quantity
        else:
            self._quantities[side].pop(price, None)
        level = self._level(price, quantity) if quantity else None
        self.ladder.apply(self.ladder.last_id + 1, (Change(side, price, level),))
        self.changed.append((side, price))

    def price_text(self, price: int) -> str:
        """A price in the instrument's digits."""
        return fixed(price, self.instrument.price_digits)

    def quantity_text(self, quantity: int) -> str:
        """A quantity in the instrument's digits."""
        return fixed(quantity, self.instrument.quantity_digits)

    def quantity_at(self, side: int, price: int) -> int:
        """What stands at a price now, 0 for nothing."""
        return self._quantities[side].get(price, 0)

    def _level(self, price: int, quantity: int) -> str:
        return f'["{self.price_text(price)}","{self.quantity_text(quantity)}"]'
