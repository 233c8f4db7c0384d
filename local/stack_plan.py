"""Which processes make a stack, what each waits for, and in which order they end.

Pure: settings and ports in, a list out.

    StackSettings, ports ─► [Stage]
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass

from local import stack_exchanges
from local import stack_settings as names
from local.exchanges.port_table import PORT_NAMES
from local.processes import Command
from local.stack_settings import LIVE, REPLAY, StackSettings

PUSH = "functions.push.handler"
PUSH_WINDOW_MS, HISTORY_WINDOW_MS = "250", "500"
"""Each batch asks who is subscribed: without a window that would be most of the work."""
PUSHED = ("prices", "candles", "depth", "events")
"""The topics beside `ticks` that go to clients, each with an event source of its own."""

SERVER_GRACE_S = 30.0
STAGE_GRACE_S = 20.0

# Facts that are not processes: something has been made ready in a server.
TOPICS, TABLES, BUCKET, STREAMS = "topics", "tables", "bucket", "streams"
SYMBOLS = "symbols"
"""Clients may subscribe to what is captured."""

KEPT_VARIABLES = {
    *("PATH", "HOME", "USER", "LANG", "TZ", "TMPDIR", "VIRTUAL_ENV", "XDG_CACHE_HOME"),
    *("TAPEDECK_CACHE", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"),
    *("ARCHIVE_FLUSH_SECONDS", "ARCHIVE_BUFFER_MB", "KAFKA_BUFFER_MB"),
    *stack_exchanges.KEPT_SIMULATED,
}
# A person who watches the demo wants to see a file grow; deployed it is a minute (rule 14).
FLUSH_SECONDS = "5"


@dataclass(frozen=True, slots=True)
class Stage:
    """One process of the stack.

    `needs` are stages and facts that must be ready first. It is ready itself when `port`
    answers; without a port, when it has lived for a moment. `end` orders the way down: the
    lower ones end before the higher ones are asked to. When it dies, the stages that it
    `takes_along` are started again too.
    """

    command: Command
    needs: tuple[str, ...] = ()
    port: int | None = None
    end: int = 0
    grace_s: float = STAGE_GRACE_S
    takes_along: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name under `pids` in `tapedeck status --json`."""
        return self.command.name


@dataclass(frozen=True, slots=True)
class ServerCommands:
    """The command lines of the three Java servers, whose settings files are written already."""

    kafka: tuple[str, ...]
    dynamodb: tuple[str, ...]
    s3: tuple[str, ...]


def plan(
    settings: StackSettings,
    ports: Mapping[str, int],
    servers: ServerCommands,
    inherited: Mapping[str, str],
    credentials: Mapping[str, str],
) -> list[Stage]:
    """Every process of the stack, in the order in which they are started when all are free.

    The exchanges' `credentials` reach nobody but capture.
    """
    env = child_environment(settings, ports, inherited)
    stages = [*_servers(settings, ports, servers, env)]
    if settings.mode != LIVE:
        stages.append(_exchanges(settings, ports, env))
    worker = _worker(settings, env, env | dict(credentials))
    return [*stages, *worker, *_clients(settings, ports, env)]


def _servers(
    settings: StackSettings,
    ports: Mapping[str, int],
    servers: ServerCommands,
    env: Mapping[str, str],
) -> list[Stage]:
    def java(name: str, argv: tuple[str, ...], port: str, end: int) -> Stage:
        return Stage(
            Command(name, argv, env), port=ports[port], end=end, grace_s=SERVER_GRACE_S
        )

    lock = _module(
        "s3-lock",
        env,
        *("local.s3_lock", "--listen", f"{settings.host}:{ports['s3']}"),
        *("--upstream", f"http://127.0.0.1:{ports['s3_private']}"),
    )
    return [
        java("kafka", servers.kafka, "kafka", 5),
        java("dynamodb", servers.dynamodb, "dynamodb", 5),
        java("s3", servers.s3, "s3_private", 6),
        # S3Proxy may still be writing for a lock that died; the next lock must not meet that.
        Stage(lock, port=ports["s3"], end=5, takes_along=("s3",)),
    ]


def _exchanges(
    settings: StackSettings, ports: Mapping[str, int], env: Mapping[str, str]
) -> Stage:
    arguments = ["--host", settings.host, "--seed", str(settings.seed)]
    arguments += ["--overview-port", str(ports["exchanges"])]
    arguments += ["--exchanges", ",".join(settings.exchanges)]
    arguments += stack_exchanges.arguments(settings.exchanges, ports)
    if settings.mode == REPLAY:
        # Nothing is sent before capture listens, so that a recording arrives whole.
        arguments += ["--wait-for-subscriber"]
        arguments += ["--replay", *(str(path) for path in settings.recordings)]
        arguments += ["--once"] if settings.once else []
    else:
        # Beside Kafka's data, which knows the last ids: the two are kept or deleted together.
        arguments += ["--state", str(settings.data / "exchanges.json")]
    arguments += ["--speed", settings.speed]
    command = _module("exchanges", env, "local.exchanges", *arguments)
    return Stage(command, port=ports["exchanges"], end=4)


def _worker(
    settings: StackSettings, env: Mapping[str, str], of_capture: Mapping[str, str]
) -> list[Stage]:
    worker = "container_worker"
    exchange = () if settings.mode == LIVE else ("exchanges",)
    capture = ("capture", "--streams", str(settings.streams_file))
    return [
        Stage(_module("archive", env, worker, "archive"), needs=(TOPICS, BUCKET), end=3),
        Stage(_module("derive", env, worker, "derive"), needs=(TOPICS,), end=2),
        Stage(_module("keep", env, worker, "keep"), needs=(TOPICS, TABLES, "gateway"), end=3),
        Stage(
            _module("capture", of_capture, worker, *capture),
            needs=(TOPICS, TABLES, STREAMS, *exchange),
            end=1,
        ),
    ]


def _clients(
    settings: StackSettings, ports: Mapping[str, int], env: Mapping[str, str]
) -> list[Stage]:
    gateway = _module(
        "gateway",
        env,
        *("local.gateway", "--host", settings.host),
        *("--api-port", str(ports["api"]), "--stream-port", str(ports["stream"])),
        *("--candles-port", str(ports["candles"])),
    )
    source = ("local.event_source", "--bootstrap", f"{settings.address}:{ports['kafka']}")
    also = [f"--also={topic}:push-{topic}:{PUSH}" for topic in PUSHED]
    push = _module(
        "push",
        env,
        *(*source, *_first_source("ticks", "push", PUSH), *also),
        *("--window-ms", PUSH_WINDOW_MS),
    )
    history = _module(
        "history",
        env,
        *(*source, *_first_source("candles", "history", "functions.history.handler")),
        *("--starting-position", "TRIM_HORIZON", "--batch-size", "500"),
        *("--window-ms", HISTORY_WINDOW_MS),
    )
    return [
        Stage(gateway, needs=(TABLES,), port=ports["api"], end=4),
        Stage(push, needs=(TOPICS, "gateway"), end=3),
        Stage(history, needs=(TOPICS, TABLES), end=3),
    ]


def _first_source(topic: str, group: str, handler: str) -> tuple[str, ...]:
    return ("--topic", topic, "--group", group, "--handler", handler)


def _module(name: str, env: Mapping[str, str], module: str, *arguments: str) -> Command:
    return Command(name, (sys.executable, "-m", module, *arguments), env)


def child_environment(
    settings: StackSettings, ports: Mapping[str, int], inherited: Mapping[str, str]
) -> dict[str, str]:
    """The whole environment of every process: nothing of the user's AWS or Kafka gets in."""
    live = stack_exchanges.KEPT_LIVE if settings.mode == LIVE else ()
    kept = {
        name: value
        for name, value in inherited.items()
        if name in KEPT_VARIABLES or name in live or name.startswith("LC_")
    }
    local = "127.0.0.1,localhost"
    others = inherited.get("NO_PROXY") or inherited.get("no_proxy")
    proxies = f"{others},{local}" if others else local
    defaults = {"ARCHIVE_FLUSH_SECONDS": FLUSH_SECONDS}
    wire = {"STOCKBIT_WIRE": settings.stockbit_wire} if settings.stockbit_wire else {}
    return (
        defaults
        | kept
        | wire
        | _addresses(settings, ports)
        | {"NO_PROXY": proxies, "no_proxy": proxies}
    )


def _addresses(settings: StackSettings, ports: Mapping[str, int]) -> dict[str, str]:
    at = settings.address
    return stack_exchanges.variables(settings.exchanges, at, ports) | {
        "KAFKA_BOOTSTRAP_SERVERS": f"{at}:{ports['kafka']}",
        "KAFKA_AUTH": "none",
        "ARCHIVE_BUCKET": names.BUCKET,
        "CONNECTIONS_TABLE": names.CONNECTIONS_TABLE,
        "KEYS_TABLE": names.KEYS_TABLE,
        "INSTRUMENTS_TABLE": names.INSTRUMENTS_TABLE,
        "LIMITS_TABLE": names.LIMITS_TABLE,
        "RING_TABLE": names.RING_TABLE,
        "CANDLES_TABLE": names.CANDLES_TABLE,
        "CALLBACK_URL_STREAM": f"http://{at}:{ports['api']}/_management/stream",
        "CALLBACK_URL_WS": f"http://{at}:{ports['api']}/_management/ws",
        "CALLBACK_URL_CANDLES": f"http://{at}:{ports['api']}/_management/candles",
        "AWS_ENDPOINT_URL_LAMBDA": f"http://{at}:{ports['api']}/_lambda",
        "WELCOME_FUNCTION": "welcome",
        "OPEN_WS": "true",
        "ALLOW_RATE_ALL": "true",
        "AWS_ENDPOINT_URL_S3": f"http://{at}:{ports['s3']}",
        "AWS_ENDPOINT_URL_DYNAMODB": f"http://{at}:{ports['dynamodb']}",
        "AWS_REGION": names.REGION,
        "AWS_DEFAULT_REGION": names.REGION,
        "AWS_ACCESS_KEY_ID": names.ACCESS_KEY_ID,
        "AWS_SECRET_ACCESS_KEY": names.SECRET_ACCESS_KEY,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "PYTHONUNBUFFERED": "1",
    }


def urls(
    settings: StackSettings, ports: Mapping[str, int], inherited: Mapping[str, str]
) -> dict[str, str | None]:
    """The addresses of `tapedeck status --json`; None for what does not exist."""
    host = settings.address
    exchanges = stack_exchanges.urls(
        settings.exchanges, host, ports, inherited, live=settings.mode == LIVE
    )
    found: dict[str, str | None] = dict.fromkeys(URL_NAMES)
    return (
        found
        | exchanges
        | {
            "ws": f"ws://{host}:{ports['api']}/ws",
            "stream": f"ws://{host}:{ports['stream']}/stream",
            "candles": f"ws://{host}:{ports['candles']}/",
            "api": f"http://{host}:{ports['api']}",
            "kafka": f"{host}:{ports['kafka']}",
            "s3": f"http://{host}:{ports['s3']}",
            "dynamodb": f"http://{host}:{ports['dynamodb']}",
        }
    )


URL_NAMES = (
    *("ws", "stream", "candles", "api", "web", "kafka", "s3", "dynamodb"),
    *PORT_NAMES,
)
