"""Turns on a key: readers together, writers alone, nobody passed over, nothing left behind."""

import asyncio
import random

import pytest

from local.key_locks import KeyLocks


def run(main):
    return asyncio.run(asyncio.wait_for(main, 20))


async def give_way(turns):
    """Let the other tasks run for so many turns of the loop."""
    for _ in range(turns):
        await asyncio.sleep(0)


def test_readers_share_and_a_writer_is_alone():
    async def main():
        locks = KeyLocks()
        inside = []

        async def use(name, exclusive):
            async with locks.hold({"key": exclusive}):
                inside.append(name)
                await give_way(20)
                if exclusive:
                    assert inside == [name]
                inside.remove(name)

        await asyncio.gather(*(use(n, n % 3 == 0) for n in range(60)))
        assert len(locks) == 0

    run(main())


def test_a_waiting_writer_is_not_passed_by_later_readers():
    async def main():
        locks, order = KeyLocks(), []

        async def use(name, exclusive):
            async with locks.hold({"key": exclusive}):
                order.append(name)
                await give_way(1)

        async with locks.hold({"key": False}):
            tasks = [asyncio.create_task(use("writer", True))]
            await give_way(1)
            tasks.append(asyncio.create_task(use("reader", False)))
            await give_way(1)
            assert order == []
        await asyncio.gather(*tasks)
        assert order == ["writer", "reader"]

    run(main())


def test_keys_do_not_wait_for_each_other():
    async def main():
        locks = KeyLocks()
        async with locks.hold({"one": True}), locks.hold({"two": True}):
            assert len(locks) == 2

    run(main())


@pytest.mark.parametrize("seed", range(5))
def test_several_keys_in_any_order_with_cancellations_never_deadlock(seed):
    """Repeat with the seed in the test's id."""

    async def main():
        locks, chance = KeyLocks(), random.Random(seed)
        writing = set()

        async def use():
            wanted = {key: chance.random() < 0.5 for key in chance.sample("abcd", 2)}
            async with locks.hold(wanted):
                mine = {key for key, exclusive in wanted.items() if exclusive}
                assert not writing & set(wanted)
                writing.update(mine)
                await give_way(chance.randrange(10))
                writing.difference_update(mine)

        tasks = [asyncio.create_task(use()) for _ in range(200)]
        for task in chance.sample(tasks, 40):
            await give_way(1)
            if not writing:
                task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(r is None or isinstance(r, asyncio.CancelledError) for r in results)
        assert len(locks) == 0

    run(main())
