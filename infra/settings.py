"""What a deployment may choose: the context values of the CDK app, checked first of all.

context (cdk.json, `-c key=value`) ─► DeploymentSettings ─► stacks
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from infra.client_settings import KEYS as CLIENT_KEYS
from infra.client_settings import ClientChoices, read_client_choices
from infra.exchange_settings import KEYS as EXCHANGE_KEYS
from infra.exchange_settings import ExchangeChoices, read_choices
from marketdata.errors import SettingsError

KEYS = (
    "access_logs",
    "alarm_email",
    "availability_zones",
    "broker_storage_gb",
    "functions",
    "image",
    "kafka_auth",
    "on_delete",
    "page_origin",
    "size",
    "streams",
    *CLIENT_KEYS,
    *EXCHANGE_KEYS,
)
"""Every context key of ours; docs/deploy.md says what each does."""

MAX_STREAMS_BYTES = 32 * 1024
"""The streams file travels in the task definition, which AWS limits to 64 KB in all."""

DEFAULT_PORTS = {"http": 80, "https": 443}
"""A browser leaves these out of an origin."""
HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Size:
    """What one word, `small` or `standard`, decides (rule 30)."""

    name: str
    brokers: int
    broker_type: str
    replication: int
    min_insync: int
    storage_gb: int
    worker_stages: tuple[str, ...]
    worker_cpu: int
    worker_memory_mib: int
    provisioned_push: bool


SIZES = {
    "small": Size(
        name="small",
        brokers=2,
        broker_type="kafka.t3.small",
        replication=2,
        min_insync=1,
        storage_gb=50,
        worker_stages=("all",),
        worker_cpu=512,
        worker_memory_mib=2048,
        provisioned_push=False,
    ),
    "standard": Size(
        name="standard",
        brokers=3,
        broker_type="kafka.m7g.large",
        replication=3,
        min_insync=2,
        storage_gb=250,
        worker_stages=("capture", "archive", "derive", "keep"),
        worker_cpu=1024,
        worker_memory_mib=2048,
        provisioned_push=True,
    ),
}


@dataclass(frozen=True, slots=True)
class DeploymentSettings:
    """The choices of one deployment, all checked.

    Attributes:
        streams: The text of the streams file that the deployed capture runs.
        image: A ready-made worker image, or empty: built from the Dockerfile at deploy time.
        functions: The folder that `infra.build_functions` staged.
        availability_zones: Names, or empty: the first ones of the account's region.
        page_origin: Whose pages may read the HTTP API's answers, or empty: no other site's.
    """

    size: Size
    kafka_auth: str
    streams: str
    image: str
    functions: Path
    alarm_email: str
    access_logs: bool
    retain: bool
    availability_zones: tuple[str, ...]
    storage_gb: int
    page_origin: str
    exchanges: ExchangeChoices
    clients: ClientChoices

    @property
    def scram(self) -> bool:
        """Whether the worker signs in with a user and a password instead of its role."""
        return self.kafka_auth == "scram"


def read_settings(context: Mapping[str, object], root: Path) -> DeploymentSettings:
    """The settings of a context; relative paths are taken from `root`.

    Raises:
        SettingsError: Names every value that cannot be used and every unknown key.
    """
    reader = _Reader(context, root)
    streams, captured = reader.streams()
    size = SIZES[reader.word("size", tuple(SIZES))]
    settings = DeploymentSettings(
        size=size,
        kafka_auth=reader.word("kafka_auth", ("iam", "scram")),
        streams=streams,
        image=reader.text("image"),
        functions=reader.functions(),
        alarm_email=reader.email(),
        access_logs=reader.word("access_logs", ("false", "true")) == "true",
        retain=reader.word("on_delete", ("retain", "destroy")) == "retain",
        availability_zones=reader.zones(size.brokers),
        storage_gb=reader.storage(size.storage_gb),
        page_origin=reader.origin(),
        exchanges=read_choices(reader.text, reader.faults, captured),
        clients=read_client_choices(reader.text, reader.faults),
    )
    reader.refuse_unknown_keys()
    if reader.faults:
        raise SettingsError(reader.faults)
    return settings


class _Reader:
    """Reads one value at a time and collects what is wrong, so that all is told at once."""

    def __init__(self, context: Mapping[str, object], root: Path) -> None:
        self._context = context
        self._root = root
        self.faults: list[str] = []

    def text(self, key: str, default: str = "") -> str:
        value = self._context.get(key, default)
        if isinstance(value, bool):
            return str(value).lower()
        return str(value).strip()

    def word(self, key: str, allowed: tuple[str, ...]) -> str:
        value = self.text(key, allowed[0])
        if value in allowed:
            return value
        self.faults.append(f"context {key}={value}: must be {' or '.join(allowed)}")
        return allowed[0]

    def streams(self) -> tuple[str, frozenset[str]]:
        """The text of the streams file, and the exchanges that it names."""
        path = self._root / self.text("streams", "infra/streams.yaml")
        try:
            text = path.read_text(encoding="utf-8")
            document = yaml.safe_load(text)
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            reason = str(error).splitlines()[0]
            self.faults.append(f"context streams: {path} cannot be read as YAML: {reason}")
            return "", frozenset()
        if not isinstance(document, dict) or not document.get("streams"):
            self.faults.append(f"context streams: {path} has no list `streams`")
        if len(text.encode()) > MAX_STREAMS_BYTES:
            self.faults.append(f"context streams: {path} is over {MAX_STREAMS_BYTES} bytes")
        return text, _exchanges_of(document)

    def functions(self) -> Path:
        folder = self._root / self.text("functions", "build/functions")
        if not (folder / "functions").is_dir():
            self.faults.append(
                f"context functions: {folder} holds no staged Lambda code; "
                "stage it with `python -m infra.build_functions`"
            )
        return folder

    def email(self) -> str:
        value = self.text("alarm_email")
        name, at, domain = value.partition("@")
        if value and not (name and at and "." in domain and " " not in value):
            self.faults.append(f"context alarm_email={value}: is not an e-mail address")
        return value

    def zones(self, brokers: int) -> tuple[str, ...]:
        value = self.text("availability_zones")
        zones = tuple(zone.strip() for zone in value.split(",") if zone.strip())
        if zones and len(set(zones)) != brokers:
            self.faults.append(
                f"context availability_zones={value}: this size needs {brokers} different zones"
            )
        return zones

    def storage(self, default: int) -> int:
        value = self.text("broker_storage_gb", str(default))
        if value.isascii() and value.isdigit() and 1 <= int(value) <= 16_384:
            return int(value)
        self.faults.append(
            f"context broker_storage_gb={value}: must be a whole number from 1 to 16384"
        )
        return default

    def origin(self) -> str:
        value = self.text("page_origin")
        if value and not _is_origin(value):
            self.faults.append(
                f"context page_origin={value}: must be an origin as a browser names it, "
                "https://example.org or http://localhost:5173"
            )
        return value

    def refuse_unknown_keys(self) -> None:
        for key in self._context:
            if key in KEYS or _belongs_to_cdk(key):
                continue
            near = get_close_matches(key, KEYS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(KEYS)}"
            self.faults.append(f"context {key}: is no key of this app; {hint}")


def _is_origin(value: str) -> bool:
    """Whether a browser could send it: API Gateway compares the texts."""
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        return False
    default = DEFAULT_PORTS.get(parts.scheme)
    written = "" if port is None else f":{port}"
    return (
        default not in (None, port)
        and HOST.fullmatch(parts.hostname or "") is not None
        and value == f"{parts.scheme}://{parts.hostname}{written}"
    )


def _belongs_to_cdk(key: str) -> bool:
    """The CDK's own keys carry a namespace (`@aws-cdk/…`, `aws:cdk:…`, `tree:…`)."""
    return ":" in key or "/" in key


def _exchanges_of(document: object) -> frozenset[str]:
    rows = document.get("streams") if isinstance(document, dict) else None
    rows = rows if isinstance(rows, list) else []
    names = [row.get("exchange") for row in rows if isinstance(row, dict)]
    return frozenset(name for name in names if isinstance(name, str))
