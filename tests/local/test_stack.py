"""`tapedeck up`, `down` and `status` with the real servers, whatever happens in between."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import boto3
import psutil
import pytest
from kafka.admin import KafkaAdminClient

from local import run_file
from local.processes import Identity
from marketdata.topics import TOPICS

pytestmark = pytest.mark.services

DRIVER = Path(__file__).with_name("stack_driver.py")
IDLE = "import time\nwhile True: time.sleep(1)"
SERVERS = {"kafka", "dynamodb", "s3", "s3-lock"}
DEV_KEY = "chrono_public_dev_key_001"


class Stack:
    """One data folder and the commands on it."""

    def __init__(self, data, stages, servers):
        self.data = data
        self.wanted = json.dumps({"servers": servers, "stages": stages})
        self.out = data.parent / f"{data.name}.out"
        self.process = None

    def command(self, *arguments):
        return [sys.executable, str(DRIVER), self.wanted, *arguments, "--data", str(self.data)]

    def run(self, *arguments, timeout=60):
        return subprocess.run(
            self.command(*arguments),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def start(self, *arguments):
        with self.out.open("w") as output:
            self.process = subprocess.Popen(
                self.command("up", "--ports", "free", *arguments),
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def output(self):
        return self.out.read_text()

    def status(self):
        return json.loads(self.run("status", "--json").stdout)

    def run_file(self):
        try:
            return json.loads((self.data / "run" / "stack.json").read_bytes())
        except (OSError, ValueError):
            return None

    def is_ready(self):
        assert self.process.poll() is None, self.output
        run = self.run_file()
        return run and run["state"] == "ready" and run

    def processes(self):
        """Every process with the data folder in its command line, the watcher too."""
        return [
            process
            for process in psutil.process_iter(["cmdline"])
            if any(str(self.data) in part for part in process.info["cmdline"] or ())
        ]

    def watchers(self):
        return [one for one in self.processes() if "local.leftovers" in one.cmdline()]

    def end(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)


@pytest.fixture
def stack(tmp_path):
    made = []

    def make(stages=None, name="data", servers=False):
        one = Stack(tmp_path / name, {"idle": IDLE} | (stages or {}), servers)
        made.append(one)
        return one

    yield make
    for one in made:
        one.end()


def alive(run):
    return [
        name
        for name, one in run["processes"].items()
        if psutil.pid_exists(one["identity"]["pid"])
        and psutil.Process(one["identity"]["pid"]).status() != psutil.STATUS_ZOMBIE
    ]


def test_up_status_down_and_what_a_second_up_says(stack, wait_until):
    one = stack(servers=True)
    one.start()
    run = wait_until(one.is_ready, 60, "ready")
    status = one.status()
    assert status["ready"] is True
    assert set(status["pids"]) == SERVERS | {"idle"}
    assert status["restarts"] == dict.fromkeys(SERVERS | {"idle"}, 0)
    assert status["data"] == str(one.data)
    assert status["bucket"] == "tapedeck"
    assert status["replay"] is None
    assert {name for name, url in status["urls"].items() if url} == {
        *("ws", "stream", "candles", "api", "kafka", "s3", "dynamodb"),
        *("binance_ws", "binance_rest", "coinbase_ws", "coinbase_rest"),
        *("blockchain_ws", "blockchain_rest", "stockbit_ws", "stockbit_rest"),
        "stellar_rpc",
    }
    assert [name for name, url in status["urls"].items() if url is None] == ["web"]
    assert (one.data / "run" / "stack.json").stat().st_mode & 0o777 == 0o600

    again = one.run("up", "--ports", "free")
    assert (again.returncode, again.stderr) == (0, "")
    assert "up already" in again.stdout

    ended = one.run("down")
    assert ended.returncode == 0
    assert one.process.wait(10) == 0
    assert alive(run) == []
    assert one.processes() == []
    assert one.status()["ready"] is False
    assert "no stack is up" in one.run("down").stdout


def test_topics_tables_bucket_and_key_are_made_and_kept(stack, wait_until):
    one = stack(servers=True)
    for _ in range(2):
        one.start()
        urls = wait_until(one.is_ready, 60, "ready")["urls"]
        admin = KafkaAdminClient(bootstrap_servers=urls["kafka"])
        found = {t["name"]: len(t["partitions"]) for t in admin.describe_topics(list(TOPICS))}
        admin.close()
        assert found == {name: topic.partitions for name, topic in TOPICS.items()}
        tables = boto3.client("dynamodb", endpoint_url=urls["dynamodb"])
        assert set(tables.list_tables()["TableNames"]) == {
            *("tapedeck-connections", "tapedeck-keys", "tapedeck-instruments"),
            *("tapedeck-limits", "tapedeck-ring", "tapedeck-candles"),
        }
        [key] = tables.scan(TableName="tapedeck-keys")["Items"]
        assert key["scope"]["S"] == "read"
        assert DEV_KEY not in json.dumps(key)
        store = boto3.client("s3", endpoint_url=urls["s3"])
        store.put_object(Bucket="tapedeck", Key="data/orderbook/x.csv", Body=b"row\n")
        assert (one.data / "s3/tapedeck/data/orderbook/x.csv").read_bytes() == b"row\n"
        one.end()


def test_servers_that_die_are_started_again_with_their_data(stack, wait_until):
    one = stack(servers=True)
    one.start()
    run = wait_until(one.is_ready, 60, "ready")
    for name in ("kafka", "s3-lock", "dynamodb"):  # the lock takes s3 along
        os.kill(run["processes"][name]["identity"]["pid"], signal.SIGKILL)
    wait_until(lambda: sum(one.run_file()["restarts"].values()) == len(SERVERS), 30, "restarts")
    wait_until(one.is_ready, 60, "ready again")
    assert one.run_file()["restarts"] == dict.fromkeys(SERVERS, 1) | {"idle": 0}
    assert one.status()["ready"] is True
    admin = KafkaAdminClient(bootstrap_servers=run["urls"]["kafka"])
    assert "orderbook" in admin.list_topics()
    admin.close()
    tables = boto3.client("dynamodb", endpoint_url=run["urls"]["dynamodb"])
    assert len(tables.list_tables()["TableNames"]) == 6
    assert boto3.client("s3", endpoint_url=run["urls"]["s3"]).list_buckets()["Buckets"]


def test_ctrl_c_at_any_moment_of_the_start_leaves_no_process(stack, wait_until):
    for step, number in enumerate(
        [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGINT]
    ):
        one = stack(name=f"at-{step}", servers=True)
        one.start()
        wait_until((one.data / "run").exists, 30, "the command's beginning")
        wait_until(lambda step=step, one=one: len(one.processes()) > step, 30, "processes")
        one.process.send_signal(number)
        assert one.process.wait(60) in {0, -number}, one.output
        wait_until(lambda one=one: one.processes() == [], 10, "no process")
        assert "Traceback" not in one.output


@pytest.mark.parametrize("also_the_watcher", [False, True])
def test_a_killed_supervisor_leaves_nothing_for_ever(stack, wait_until, also_the_watcher):
    one = stack(servers=not also_the_watcher)
    one.start()
    run = wait_until(one.is_ready, 60, "ready")
    [watcher] = one.watchers()
    if also_the_watcher:
        watcher.kill()
    one.process.kill()
    one.process.wait()
    if also_the_watcher:
        assert alive(run) == ["idle"]
        assert one.status()["ready"] is False
        ended = one.run("down")
        assert "ended idle, which its supervisor had left behind" in ended.stdout
    wait_until(lambda: alive(run) == [], 60, "the leftovers' end")
    wait_until(lambda: one.processes() == [], 10, "no process")


def test_up_after_a_kill_ends_leftovers_and_starts_anew(stack, wait_until):
    one = stack()
    one.start()
    before = wait_until(one.is_ready, 60, "ready")
    for watcher in one.watchers():
        watcher.kill()
    one.process.kill()
    one.process.wait()
    one.start()
    wait_until(
        lambda: one.is_ready() and one.run_file()["supervisor"]["pid"] == one.process.pid,
        60,
        "ready again",
    )
    assert alive(before) == []
    assert "left behind by an earlier start" in one.output


def test_a_process_with_a_recorded_pid_but_another_start_is_left_alone(stack):
    other = subprocess.Popen([sys.executable, "-c", IDLE], start_new_session=True)
    try:
        one = stack()
        (one.data / "run").mkdir(parents=True)
        running = {"identity": {"pid": other.pid, "started": "1"}, "end": 0, "grace_s": 1.0}
        (one.data / "run" / "stack.json").write_text(
            json.dumps(
                {
                    "supervisor": {"pid": other.pid, "started": "1"},
                    "data": str(one.data),
                    "mode": "simulate",
                    "urls": {},
                    "processes": {"capture": running},
                }
            )
        )
        assert one.run("down").returncode == 0
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_what_dies_is_started_again_and_counted(stack, wait_until):
    one = stack({"weak": "import time; time.sleep(1.5); raise SystemExit(1)"})
    one.start()
    wait_until(one.is_ready, 60, "ready")
    wait_until(lambda: one.run_file()["restarts"]["weak"] >= 2, 30, "two more lives")
    assert one.run_file()["restarts"]["idle"] == 0


def test_what_a_stage_started_itself_ends_with_it(stack, wait_until):
    code = (
        "import subprocess, sys; subprocess.Popen([sys.executable, '-c', CHILD, DATA]); " + IDLE
    )
    one = stack()
    child = f"CHILD, DATA = {IDLE!r}, {str(one.data)!r}\n"
    one.wanted = json.dumps({"servers": False, "stages": {"parent": child + code}})
    one.start()
    wait_until(one.is_ready, 60, "ready")
    wait_until(lambda: len(one.processes()) == 4, 10, "supervisor, watcher, parent, child")
    assert one.run("down").returncode == 0
    assert one.processes() == []


def test_a_stage_that_does_not_end_is_killed_when_asked_twice(stack, wait_until):
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + IDLE
    one = stack({"deaf": deaf})
    one.start()
    run = wait_until(one.is_ready, 60, "ready")
    one.process.send_signal(signal.SIGINT)
    asked = time.monotonic()
    wait_until(lambda: time.monotonic() - asked > 0.5, 5, "more than a doubled signal")
    one.process.send_signal(signal.SIGINT)
    assert one.process.wait(10) == 0
    assert alive(run) == []


def test_a_stage_that_is_given_nonsense_ends_the_start_with_its_sentence(stack):
    says = "import sys; print('streams file: stream demo has no tickers', file=sys.stderr)"
    one = stack({"capture": f"{says}; sys.exit(2)"})
    ended = one.run("up", "--ports", "free")
    assert ended.returncode == 2
    assert ended.stderr == "tapedeck: capture: streams file: stream demo has no tickers\n"
    assert one.processes() == []


def test_a_stage_that_always_dies_ends_the_start_and_names_its_log(stack):
    one = stack({"capture": "raise SystemExit('no such exchange')"})
    ended = one.run("up", "--ports", "free")
    assert ended.returncode == 1
    assert "no such exchange" in ended.stderr
    assert str(one.data / "logs" / "capture.log") in ended.stderr
    assert one.processes() == []


def test_a_taken_port_is_named_and_nothing_is_started(stack):
    one = stack()
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("127.0.0.1", 18000))
        except OSError:
            pytest.skip("port 18000 is in use on this machine")
        taken.listen()
        ended = one.run("up")
    assert ended.returncode == 1
    assert "18000 (dynamodb)" in ended.stderr
    assert "--ports free" in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert one.processes() == []


def test_two_starts_at_once_give_one_stack(stack, wait_until):
    one, two = stack(), stack()
    one.out, two.out = one.out.with_suffix(".1"), two.out.with_suffix(".2")
    one.start()
    two.start()
    wait_until(lambda: {one.process.poll(), two.process.poll()} != {None}, 60, "one gave up")
    won, lost = (one, two) if one.process.poll() is None else (two, one)
    wait_until(won.is_ready, 60, "ready")
    assert lost.process.returncode in {0, 1}
    assert "another `tapedeck up`" in lost.output or "up already" in lost.output
    assert len(won.watchers()) == 1


def test_stacks_with_their_own_data_run_side_by_side(stack, wait_until):
    one, two = stack(name="one"), stack(name="two")
    one.start()
    two.start()
    wait_until(lambda: one.is_ready() and two.is_ready(), 90, "both ready")
    assert not set(one.status()["urls"].values()) - {None} & set(two.status()["urls"].values())
    one.run("down")
    assert two.status()["ready"] is True


def test_detached_it_returns_when_ready_and_down_ends_it(stack):
    one = stack()
    started = one.run("up", "--ports", "free", "--detach", timeout=90)
    assert started.returncode == 0, started.stderr
    assert "Tapedeck is up" in started.stdout
    assert one.status()["ready"] is True
    again = one.run("up", "--ports", "free", "--detach")
    assert "up already" in again.stdout
    assert one.run("down").returncode == 0
    assert one.processes() == []


def test_detached_faults_are_told_as_in_the_foreground(stack):
    one = stack({"capture": "import sys; print('bad streams', file=sys.stderr); sys.exit(2)"})
    ended = one.run("up", "--ports", "free", "--detach", timeout=90)
    assert (ended.returncode, ended.stderr) == (2, "tapedeck: capture: bad streams\n")


@pytest.mark.parametrize(
    ("arguments", "names", "code"),
    [
        (["--replay", "/no/such/recording"], "/no/such/recording", 2),
        (["--streams", "/no/such/streams.yaml"], "/no/such/streams.yaml", 2),
        (["--speed", "fast"], "--speed fast", 2),
        (["--speed", "0"], "--speed 0", 2),
        (["--once"], "--once", 2),
        (["--live", "--simulate"], "--simulate and --live", 2),
        (["--ports", "some"], "--ports", 2),
        (["--sed", "1"], "--sed", 2),
        (["--host", "everywhere"], "--host everywhere", 2),
        (["stray"], "stray", 2),
    ],
)
def test_bad_options_are_named_and_nothing_is_started(stack, arguments, names, code):
    one = stack()
    ended = one.run("up", *arguments)
    assert ended.returncode == code
    assert names in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (one.data / "run").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"hello\n", "is not a recording: its first line"),
        (b"wss://ws.kraken.com <-> 1618677816.8\n", "is a recording of ws.kraken.com"),
        (b'{"tapedeck":1,"exchange":"kraken"}\n', "is a recording of kraken, which cannot"),
    ],
)
def test_what_cannot_be_replayed_is_named_and_nothing_is_started(
    stack, tmp_path, content, words
):
    one = stack()
    path = tmp_path / "tape"
    path.write_bytes(content)
    ended = one.run("up", "--ports", "free", "--replay", str(path))
    assert ended.returncode == 2
    assert f"{path} {words}" in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert not (one.data / "run").exists()


def test_a_tape_is_not_mixed_with_what_a_data_folder_has(stack, tmp_path):
    one = stack()
    log = one.data / "kafka" / "log" / "orderbook-0"
    log.mkdir(parents=True)
    (log / "0.log").write_bytes(b"x")
    sources = {"what": "", "sources": {"binance": "simulation"}}
    (one.data / "sources.json").write_text(json.dumps(sources))
    tape = tmp_path / "tape"
    tape.write_text("wss://stream.binance.com:9443/ws <-> 1618677372.5\n")
    ended = one.run("up", "--ports", "free", "--replay", str(tape))
    assert ended.returncode == 1
    assert f"{one.data} has data of binance from the simulation" in ended.stderr
    assert "choose another folder with --data" in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert not (one.data / "run" / "stack.json").exists()


def test_a_data_folder_that_cannot_be_written_is_named(stack, tmp_path):
    (tmp_path / "file").write_text("")
    one = stack(name="file/data")
    ended = one.run("up", "--ports", "free")
    assert ended.returncode == 1
    assert str(one.data) in ended.stderr
    assert "--data" in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_the_watcher_waits_for_the_lock_of_a_supervisor_that_is_dying(tmp_path, wait_until):
    idle = subprocess.Popen([sys.executable, "-c", IDLE], start_new_session=True)
    watcher = None
    try:
        run_file.path_of(tmp_path).parent.mkdir()
        with run_file.ownership(tmp_path):
            run = run_file.RunFile(Identity.of(os.getpid()), str(tmp_path), "simulate", {})
            run.processes["idle"] = run_file.Running(Identity.of(idle.pid))
            run_file.write(tmp_path, run)
            watcher = subprocess.Popen(
                [sys.executable, "-m", "local.leftovers", str(tmp_path)], stdin=subprocess.PIPE
            )
            watcher.stdin.close()
            until = time.monotonic() + 1.5
            wait_until(
                lambda: watcher.poll() is not None or time.monotonic() > until, 5, "a while"
            )
            assert (watcher.poll(), idle.poll()) == (None, None)
        wait_until(lambda: idle.poll() is not None, 20, "the leftover's end")
        assert watcher.wait(10) == 0
    finally:
        for process in filter(None, (idle, watcher)):
            process.kill()
            process.wait()
