"""Growing one object on the real store, with every outcome that a write can have."""

import itertools
import random
import threading

import pytest

from container_worker.archive.growth import Grower, copy_spans
from container_worker.archive.outage import Outage, Patience
from container_worker.archive.outcome import Origin, read_head
from container_worker.archive.row_buffer import RowBuffer
from marketdata.archive_layout import HEADERS
from marketdata.archive_unit import Rows
from marketdata.errors import ArchiveConflict, StoreConflict, StoreUnavailable

MIB = 1024 * 1024
PATH = "data/orderbook/binance/2024-08-08_BTCUSDT.csv"
ORIGIN = Origin("topic-1", 3)
HEADER = HEADERS["orderbook"]


def record_rows(offset, lines, width=60):
    """Rows of one record that anybody can compute from its offset."""
    return b"".join(b"%08d-%04d,%s\n" % (offset, line, b"x" * width) for line in range(lines))


def expected(offsets, lines=2, width=60):
    return HEADER + b"".join(record_rows(offset, lines, width) for offset in offsets)


def batch(offsets, lines=2, width=60, path=PATH):
    made = RowBuffer(path, offsets[0] * lines)
    for offset in offsets:
        made.add(offset, Rows(path, record_rows(offset, lines, width), lines, offset * lines))
    return made


class NoWaiting(Patience):
    """Tries again at once."""

    def wait(self, error):
        pass


def patience():
    return NoWaiting(Outage(), threading.Event())


def grower(store, end=10**9, **options):
    return Grower(store, ORIGIN, lambda: end, **options)


def content(rig_store):
    head = rig_store.head(PATH)
    return rig_store.read(PATH, 0, head.size)


@pytest.fixture
def store(object_bucket):
    return object_bucket()


@pytest.mark.services
class TestOnTheRealStore:
    def test_a_small_object_grows_by_puts(self, store):
        known = None
        for first in range(0, 50, 10):
            offsets = range(first, first + 10)
            known = grower(store).grow(batch(offsets), known, patience()).stored
        assert content(store) == expected(range(50))
        assert read_head(PATH, store.head(PATH)) == known
        assert (known.first, known.next, known.rows, known.size) == (
            0,
            50,
            100,
            len(content(store)),
        )

    def test_above_5_mib_it_grows_by_multipart_uploads_and_leaves_none_behind(self, store):
        known, wide = None, 10_000
        grow = grower(store, copy_range=10 * MIB).grow
        for first in range(0, 1600, 200):
            offsets = range(first, first + 200)
            known = grow(batch(offsets, 1, wide), known, patience()).stored
        assert known.size > 15 * MIB
        assert content(store) == expected(range(1600), 1, wide)
        assert list(store.uploads("data/")) == []

    def test_rows_that_are_there_are_never_written_again(self, store):
        grower(store).grow(batch(range(10)), None, patience())
        grower(store).grow(batch(range(10)), None, patience())
        grower(store).grow(batch(range(5, 20)), None, patience())
        grower(store).grow(batch(range(3, 7)), None, patience())
        assert content(store) == expected(range(20))

    def test_rows_before_the_batch_that_are_gone_ask_for_a_rebuild(self, store):
        assert grower(store).grow(batch(range(10, 20)), None, patience()).rebuild
        known = grower(store).grow(batch(range(10)), None, patience()).stored
        assert grower(store).grow(batch(range(20, 30)), known, patience()).rebuild

    def test_an_object_beyond_the_end_of_the_log_stops_the_partition(self, store):
        grower(store).grow(batch(range(10)), None, patience())
        with pytest.raises(ArchiveConflict, match="beyond the end"):
            grower(store, end=8).grow(batch(range(5)), None, patience())

    def test_an_object_of_another_partition_stops_the_partition(self, store):
        Grower(store, Origin("topic-1", 4), lambda: 10).grow(batch(range(10)), None, patience())
        with pytest.raises(ArchiveConflict, match="partition 4"):
            grower(store).grow(batch(range(10, 20)), None, patience())

    def test_a_foreign_object_is_not_touched(self, store):
        store.put(PATH, b"mine\n", {}, base=None)
        with pytest.raises(ArchiveConflict, match="not written by the archive"):
            grower(store).grow(batch(range(10)), None, patience())
        assert content(store) == b"mine\n"

    @pytest.mark.parametrize("wide", [40, 12_000])
    def test_eight_writers_on_one_object(self, store, wide):
        """Each has other flush times; the bytes are those of one undisturbed writer."""
        total = 800 if wide > 1000 else 200

        def write(seed):
            rng, known, first = random.Random(seed), None, 0
            while first < total:
                end = min(total, first + rng.randrange(1, total // 4))
                grown = grower(store, copy_range=10 * MIB).grow(
                    batch(range(first, end), 1, wide), known, patience()
                )
                known, first = grown.stored, end

        threads = [threading.Thread(target=write, args=(seed,)) for seed in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert content(store) == expected(range(total), 1, wide)

    @pytest.mark.parametrize("seed", range(8))
    def test_any_outcome_of_any_step(self, store, seed):
        """Errors before and after success at every step of the store's edge."""
        faulty = Faulty(store, seed)
        known, first = None, 0
        wide, most = (25_000, 200) if seed % 4 == 0 else (50, 60)
        rng = random.Random(seed)
        while first < 600:
            end = min(600, first + rng.randrange(1, most))
            grow = grower(faulty, copy_range=10 * MIB).grow
            known = grow(batch(range(first, end), 1, wide), known, patience()).stored
            first = end if rng.random() < 0.8 else max(0, first - 50)  # a restart further back
            known = known if rng.random() < 0.7 else None
        assert faulty.faults
        assert content(store) == expected(range(600), 1, wide), f"seed {seed}"


class Faulty:
    """The real store, with seeded errors before or after what was asked for was done."""

    BEFORE = (
        StoreUnavailable("connection reset"),
        StoreUnavailable("InternalError (500)"),
        StoreConflict("NoSuchUpload (404)"),
        StoreConflict("PreconditionFailed (412)"),
    )
    AFTER = (
        StoreUnavailable("ReadTimeoutError"),
        StoreUnavailable("InternalError (500)"),
        StoreConflict("PreconditionFailed (412)"),
        StoreConflict("NoSuchUpload (404)"),
    )

    def __init__(self, store, seed):
        self._store = store
        self._rng = random.Random(seed)
        self._lock = threading.Lock()
        self.faults = 0

    def __getattr__(self, name):
        done = getattr(self._store, name)

        def call(*args, **kwargs):
            with self._lock:
                chance = self._rng.random()
                error = self._rng.choice(self.BEFORE if chance < 0.1 else self.AFTER)
                self.faults += chance < 0.2
            if chance < 0.1:
                raise error
            result = done(*args, **kwargs)
            if chance < 0.2:
                raise error
            return result

        return call


@pytest.mark.parametrize("size", [5 * MIB, 512 * MIB, 512 * MIB + 1, 3_000_000_001])
def test_copied_ranges_cover_the_object_and_none_is_too_small(size):
    spans = copy_spans(size, 512 * MIB)
    assert spans[0][0] == 0
    assert spans[-1][1] == size
    assert all(left[1] == right[0] for left, right in itertools.pairwise(spans))
    assert all(5 * MIB <= end - start <= 512 * MIB for start, end in spans)
