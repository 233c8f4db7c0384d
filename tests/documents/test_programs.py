"""Each client program of the documents, as printed, in its own runtime, on a whole stack.

`TAPEDECK_SHOW_PROGRAMS=1` prints what each of them printed.
"""

import ast
import contextlib
import json
import re
import shutil
from pathlib import Path

import pytest
import requests
import websocket
from kafka import KafkaConsumer, TopicPartition

import tapedeck
from marketdata.ring_items import parse_cursor
from tapedeck.client_link import Pace

pytestmark = pytest.mark.services

ROOT = Path(__file__).parents[2]
KEY = "chrono_public_dev_key_001"
QUICK = Pace(first_pause_s=0.05, longest_pause_s=0.2)
PRICE = re.compile(r"💰 (BTC|ETH)/USD: \$\d+\.\d\d \((coinbase|blockchain)\) at 20\S+Z$")
SHORT_PRICE = re.compile(r"💰 (BTC|ETH)/USD: \$\d+\.\d\d from (coinbase|blockchain)$")
FILTERS = {
    "types": ["contract_event"],
    "account_ids": [],
    "asset_codes": ["USDC"],
    "min_amount": "",
}


def test_chronos_javascript_client_prints_prices_and_leaves_on_ctrl_c(run):
    client = run("chrono-node")
    client.prints("✅ Connected to Project Chrono WebSocket")
    client.prints("📡 Subscribed to: BTC/USD, ETH/USD")
    assert PRICE.match(client.prints("💰 BTC/USD"))
    assert PRICE.match(client.prints("💰 ETH/USD"))
    assert client.interrupt() == 0
    assert client.output.rstrip().endswith("🔌 Disconnected from WebSocket")
    assert "❌" not in client.output


def test_chronos_typescript_client_prints_prices(run):
    client = run("chrono-typescript")
    client.prints("📡 Subscribed to: BTC/USD, ETH/USD")
    assert SHORT_PRICE.match(client.prints("💰 BTC/USD"))
    assert SHORT_PRICE.match(client.prints("💰 ETH/USD"))
    assert client.interrupt() == 0
    assert "❌" not in client.output


def test_chronos_python_client_prints_prices(run):
    client = run("chrono-python")
    client.prints("✅ Connected to Project Chrono")
    client.prints("📡 Subscribed to: BTC/USD, ETH/USD")
    assert SHORT_PRICE.match(client.prints("💰 BTC/USD"))
    assert SHORT_PRICE.match(client.prints("💰 ETH/USD"))


def test_the_event_documents_node_client_registers_and_prints_events(run):
    client = run("save-node")
    client.prints("Connected to WebSocket server")
    client.prints("Registered with filters: {")
    client.prints("Received event: {")
    client.prints("type: 'contract_event'")
    welcome, registered = (client.output.find(one) for one in ("Welcome: ", "Registered"))
    assert -1 < welcome < registered


def test_the_event_documents_python_client_registers_and_prints_events(run):
    client = run("save-python")
    client.prints("Welcome: Please send registration message to begin receiving events")
    registered = client.prints("Registered with filters: ")
    assert ast.literal_eval(registered.partition("filters: ")[2]) == FILTERS
    event = ast.literal_eval(client.prints("Received event: ", 30).partition("event: ")[2])
    assert event["type"] == "contract_event"
    assert "USDC" in json.dumps(event)


@pytest.mark.timeout(600)  # the compiler's time: see `go_run`
def test_the_event_documents_go_client_registers_and_prints_events(go_run):
    welcome = json.loads(go_run.prints("Welcome: ").partition("Welcome: ")[2])
    assert welcome["type"] == "welcome"
    assert welcome["format"]["filters"] == {**FILTERS, "types": [], "asset_codes": []}
    assert "type:registered" in go_run.prints("Received: map[filters:map[")
    assert "type:contract_event" in go_run.prints("contract_id:", 30)


def test_chronos_snippets_for_node_and_its_native_websocket_connect(
    chrono, stack, programs, start, node
):
    said = 'ws.{0}("open", () => {{ console.log("open"); ws.close(); }});\n'
    address = programs.address("stream", stack)
    library = chrono("Node.js (ws library)", 0, address) + said.format("on")
    native = chrono("Bun (native WebSocket)", 0, address, language="typescript")
    started = [
        start("library.js", library, node),
        start("native.ts", native + said.format("addEventListener"), node),
    ]
    for one in started:
        one.prints("open")


def test_chronos_browser_snippets_run_in_one_page_of_a_real_chromium(
    chrono, stack, programs, browser
):
    keyed = (f"{one}?" for one in programs.address("stream", stack))
    page = browser.open(
        programs.html(
            chrono("JavaScript (Browser)", 0, programs.DECLARED_TWICE, tuple(keyed)),
            chrono("3. Price Update (Server → Client)"),
            chrono("5. Error (Server → Client)"),
            programs.SHOW_OTHERS,
        )
    )
    page.logs("open")
    page.run(chrono("1. Subscribe (Client → Server)"))
    assert '"symbols":["BTC/USD","ETH/USD"]' in page.logs('"type":"subscribed"')
    assert re.match(
        r"BTC/USD: \$\d+(\.\d+)? from (coinbase|blockchain)$", page.logs("BTC/USD: $")
    )
    page.run(chrono("4. Ping/Pong (Heartbeat)"))
    page.logs('"type":"pong"')
    page.run(chrono("2. Unsubscribe (Client → Server)"))
    page.logs('"symbols":["BTC/USD"]')
    page.run('ws.send("hello")')
    page.logs("Error: Invalid message format")


def test_the_event_documents_browser_client_runs_in_a_real_chromium(
    page_text, fences, stack, programs, browser
):
    text = fences.fence(page_text(programs.SAVE), "JavaScript (Browser)", "javascript")
    page = browser.open(
        programs.html(
            fences.changed(text, fences.Change(*programs.address("ws", stack))),
        )
    )
    page.logs("Connected to WebSocket server")
    page.logs("Received welcome: Please send registration message")
    page.logs("Registration confirmed: Object {types: Array(1), account_ids: Array(0)")
    assert "type: contract_event" in page.logs("Received event: ", 30)


def test_subscribing_as_crypto_streams_says_brings_the_candle_that_it_prints(
    page_text, fences, stack, programs
):
    page = page_text(programs.CRYPTO)
    [printed] = re.findall(r"`RECEIVED: (.*)`", page)
    [message] = re.findall(r"Send the following message: `(.*)`", page)
    socket = websocket.create_connection(programs.address("candles", stack)[1], timeout=20)
    socket.send(message)
    first, second = (json.loads(socket.recv()) for _ in range(2))
    socket.close()
    assert list(first) == list(second) == list(json.loads(printed))
    assert first["pair"] == second["pair"] == "BTC-USD"
    assert first["timestamp"] % 60_000 == 0
    assert all(isinstance(first[name], int | float) for name in ("open", "close", "volume"))


def test_candles_and_depth_of_a_whole_stack_have_the_form_that_the_protocol_says(
    stack, protocol_schema
):
    """The documents' programs ask for the others; the socket holds each text to its stage."""
    url = f"{stack['stream']}?api_key={KEY}"
    wanted = {"symbols": ["BTC/USD"], "channels": ["candles", "depth"], "resume": True}
    with contextlib.closing(protocol_schema.connect(url, timeout=30)) as socket:
        socket.send(json.dumps({"type": "subscribe", **wanted}))
        awaited = {"subscribed", "candle", "depth"}
        while awaited:
            awaited -= {json.loads(socket.recv())["type"]}


def test_the_rest_request_that_crypto_streams_prints_gives_the_array_that_it_prints(
    page_text, fences, stack, wait_until
):
    page = page_text("crypto-streams.md")
    [request] = re.findall(r"GET http://localhost:8080(/api/ohlcv\S+)`", page)
    printed = json.loads(fences.fence(page, "Response", "json"))

    def candles():
        answer = requests.get(stack["api"] + request, timeout=10)
        return answer.status_code == 200 and answer.json()

    answered = wait_until(candles, 75, "candles of BTC-EUR")
    assert {frozenset(one) for one in answered} == {frozenset(printed[0])}
    assert {one["pair"] for one in answered} == {"BTC-EUR"}
    starts = [one["timestamp"] for one in answered]
    assert starts == sorted(set(starts), reverse=True)


def test_the_curl_command_of_the_event_document_is_answered_with_the_upgrade(
    page_text, fences, stack, programs, start
):
    if not shutil.which("curl"):
        pytest.skip("no `curl` on this machine")
    page = page_text(programs.SAVE)
    [block] = [one for one in fences.fences(page) if "curl --include" in one.text]
    command = block.text[block.text.index("curl --include") :]
    port = programs.address("ws", stack)[1].removeprefix("ws://")
    listening = fences.Change("localhost:8080/ws", port, "where this stack listens")
    command = fences.changed(command, listening, fences.Change(*programs.SHORT_KEY))
    client = start("upgrade.sh", command, "sh")
    client.prints("HTTP/1.1 101 Switching Protocols")
    client.prints('{"type":"welcome"')


@pytest.mark.soak
def test_the_python_client_loses_and_doubles_no_price_over_three_cuts(stack):
    cuts, between = 3, 4
    with tapedeck.Client(stack["stream"], KEY, notices=True, pace=QUICK) as client:
        client.subscribe(["BTCUSDT"], rate="250ms")
        got = []
        for one in client:
            assert not isinstance(one, tapedeck.Lost), one
            if isinstance(one, tapedeck.Price):
                got.append(parse_cursor(one.cursor))
                if len(got) == between * (cuts + 1):
                    break
                if len(got) % between == 0:
                    cut(stack)
    assert [one.offset for one in got] == prices_between(stack, got[0], got[-1])


def prices_between(stack, first, last):
    """The offsets of the ticker's prices of this pace in the topic, first to last."""
    partition = TopicPartition(first.topic, first.partition)
    reader = KafkaConsumer(bootstrap_servers=stack["kafka"], auto_offset_reset="none")
    reader.assign([partition])
    reader.seek(partition, first.offset)
    found = []
    for record in reader:
        if record.key == b"binance:BTCUSDT" and "250ms" in json.loads(record.value)["rates"]:
            found.append(record.offset)
        if record.offset >= last.offset:
            break
    reader.close()
    return found


def cut(stack):
    """Break every client's connection; how many there were."""
    answer = requests.post(f"{stack['api']}/_control/faults", json={"kind": "cut"}, timeout=10)
    return answer.json()["cut"]


@pytest.fixture(scope="module")
def example(start, stack, node):
    """`example(part)`: the command of docs/clients.md that has this in it, on this stack."""
    page = (ROOT / "docs" / "clients.md").read_text(encoding="utf-8")
    commands = re.findall(r"^    (.*examples/.*)$", page, re.MULTILINE)

    def run(part, *arguments):
        [command] = [one for one in commands if part in one]
        return start("run.sh", f'cd "{ROOT}" && exec {command} "$@"\n', "sh", after=arguments)

    return run


@pytest.mark.soak
@pytest.mark.parametrize("part", ["prices.py", "prices.js", "prices.mts"])
def test_the_example_prints_prices_and_goes_on_after_a_cut(example, stack, part):
    client = example(part, stack["stream"], "BTC/USDT", "ETH/USD")
    client.prints("BTC/USDT 6")
    assert cut(stack) > 0
    before = len(client.output)
    client.prints("BTC/USDT 6", after=before)
    assert "missing" not in client.output


@pytest.mark.soak
def test_the_go_example_prints_events(example, stack, go):
    assert "transfer" in example("examples/go", stack["ws"], "USDC").prints("USDC", 60)


@pytest.mark.soak
def test_the_example_page_shows_prices(browser, stack):
    html = (ROOT / "examples" / "browser" / "prices.html").read_text(encoding="utf-8")
    page = browser.open(html, f"?symbols=BTC/USDT&url={stack['stream']}")
    cells = page.becomes("[...document.querySelectorAll('td')].map((one) => one.textContent)")
    assert cells[:2] == ["BTC/USDT", "binance"]
    assert re.fullmatch(r"\d+\.\d{8}", cells[2])
