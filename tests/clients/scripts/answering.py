"""How a script tells what its library knows: a question a line in, an answer a line out.

    {"ask": "book", "of": ["BTC/USD"]}  ─►  {"told": {"bids": …, "asks": …}}

Answers are given until the input ends. Exact numbers go as text.
"""

import asyncio
import inspect
import json
import sys


def addresses():
    """By exchange `ws` and `rest`, as the test gave them."""
    return json.loads(sys.argv[1])


async def answer(questions):
    """Answer from `questions`: by name what is called, at once or as a coroutine."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    while line := await reader.readline():
        asked = json.loads(line)
        told = questions[asked["ask"]](*asked["of"])
        if inspect.isawaitable(told):
            told = await told
        _tell(told)


def answer_plainly(questions):
    """The same for a library that knows no event loop."""
    for line in sys.stdin:
        asked = json.loads(line)
        told = questions[asked["ask"]](*asked["of"])
        _tell(told)


def _tell(told):
    sys.stdout.write(json.dumps({"told": told}, default=str) + "\n")
    sys.stdout.flush()


async def answer_beside(questions, *followed):
    """Answer while the `followed` coroutines run; one that fails ends the script."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(each) for each in followed]
        await answer(questions)
        for task in tasks:
            task.cancel()
