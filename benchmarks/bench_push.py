"""Posts a second of one process through the management API, beside boto3's client.

Both post the same price to the same number of connections at the same endpoint, signed, over
kept connections, one after the other. boto3 is measured with one thread and with 32; the
better one counts.

    python benchmarks/bench_push.py
"""

import asyncio
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
from botocore.config import Config
from measuring import Rate, child, next_line, report, versions

from functions.gateway import ManagementApi, Outcome
from functions.signing import Credentials

CONNECTIONS = [f"L0SM9cOFvHcCIhw{number:04d}=" for number in range(200)]
OUR_POSTS = 40_000
THEIR_POSTS = 4_000
THREADS = 32
PRICE = (
    b'{"type":"price_update","symbol":"BTC/USDT","price":60000.01,"volume":null,'
    b'"timestamp":"2025-10-10T14:30:00.000Z","source":"binance"}'
)
KEY = Credentials("local", "local-secret")


def timed(posts, work):
    """Posts a second, and in a second of this process's processor time."""
    began_s, cpu_s = time.perf_counter(), time.process_time()
    work()
    return posts / (time.perf_counter() - began_s), posts / (time.process_time() - cpu_s)


def ours(url):
    """`functions.gateway` as the push function uses it: one loop, connections side by side."""

    async def post_all():
        api = ManagementApi(f"{url}/stream", region="us-east-1", credentials=lambda: KEY)
        each = OUR_POSTS // len(CONNECTIONS)
        done = await api.post_many({one: [PRICE] * each for one in CONNECTIONS})
        api.close()
        if any(one.last is not Outcome.SENT for one in done.values()):
            raise SystemExit("not every post was answered with 200")

    return timed(OUR_POSTS, lambda: asyncio.run(post_all()))


def boto(url, threads):
    """`post_to_connection` from a number of threads that share a client."""
    client = boto3.client(
        "apigatewaymanagementapi",
        endpoint_url=f"{url}/stream",
        region_name="us-east-1",
        aws_access_key_id=KEY.access_key,
        aws_secret_access_key=KEY.secret_key,
        config=Config(max_pool_connections=threads),
    )

    def post(number):
        client.post_to_connection(
            ConnectionId=CONNECTIONS[number % len(CONNECTIONS)], Data=PRICE
        )

    post(0)
    with ThreadPoolExecutor(threads) as pool:
        return timed(THEIR_POSTS, lambda: list(pool.map(post, range(THEIR_POSTS))))


def run(folder):
    """All three in one run against one endpoint."""
    command = [sys.executable, Path(__file__).with_name("post_endpoint.py")]
    with child(*command, log=folder / "log", stdout=subprocess.PIPE) as endpoint:
        url = next_line(endpoint)["url"]
        alone, many, own = boto(url, 1), boto(url, THREADS), ours(url)
    print(f"\nboto3 with one thread {alone[0]:,.0f} posts/s, with {THREADS} {many[0]:,.0f}")
    return report(
        "push: posts of one process through the management API",
        "posts",
        Rate("tapedeck", "functions.gateway, 128 at a time", *own),
        Rate("boto3", versions("boto3", "botocore", "urllib3"), *max(alone, many)),
        target=5,
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        sys.exit(0 if run(Path(temporary)) else 1)
