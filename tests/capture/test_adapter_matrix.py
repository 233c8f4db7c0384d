"""What every exchange must keep, numbered; each case runs for every entry of the registry."""

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import container_worker.exchanges as package
from container_worker.exchanges import REGISTRY
from container_worker.exchanges.adapter import Channel
from marketdata.errors import DecodeError
from marketdata.topics import MAIN_TYPE, TOPIC_OF_TYPE

FOLDER = Path(package.__file__).parent
every = pytest.mark.parametrize("adapter", REGISTRY.values(), ids=list(REGISTRY))


def test_01_the_registry_is_the_folders() -> None:
    folders = {path.name for path in FOLDER.iterdir() if (path / "__init__.py").exists()}
    assert set(REGISTRY) == folders
    assert all(name == adapter.name for name, adapter in REGISTRY.items())


@every
def test_02_an_exchange_is_the_same_three_files(adapter) -> None:
    files = {path.name for path in (FOLDER / adapter.name).glob("*.py")}
    assert files == {"__init__.py", "wire.py", "decode.py", "subscribe.py"}


@every
def test_03_its_types_are_known_and_have_the_main_one(adapter) -> None:
    assert adapter.types <= set(TOPIC_OF_TYPE)
    assert MAIN_TYPE[adapter.name] in adapter.types


@every
def test_04_the_url_of_the_socket_keeps_scheme_and_host(adapter) -> None:
    assert adapter.socket_url("ws://127.0.0.1:5/ws").startswith("ws://127.0.0.1:5/")


@every
def test_05_every_channel_is_subscribed_once_and_awaited(adapter) -> None:
    channels = [
        Channel(f"T{number}", type_) for number in range(300) for type_ in sorted(adapter.types)
    ]
    sent = adapter.subscriptions(channels)
    assert len({each.request_id for each in sent}) == len(sent)
    texts = "".join(each.text for each in sent)
    assert all(f"T{number}".lower() in texts.lower() for number in range(300))
    assert all(json.loads(each.text) for each in sent)


@every
def test_06_limits_leave_room(adapter) -> None:
    limits = adapter.limits
    assert 0 < limits.control_per_second < 5
    assert 0 < limits.streams_per_request <= limits.streams_per_socket
    assert limits.connection_life_s > 0
    assert adapter.snapshot_request("T").weight * 2 < limits.weight_per_minute


@every
@given(raw=st.binary(max_size=120))
def test_07_any_bytes_give_outcomes_or_a_decode_error(adapter, raw) -> None:
    for call in (
        lambda: adapter.decode(raw, 1),
        lambda: adapter.decode_snapshot(raw, "T"),
        lambda: adapter.decode_instruments(raw),
    ):
        with contextlib.suppress(DecodeError):
            call()


@every
def test_08_a_refusal_by_location_says_what_to_do(adapter) -> None:
    assert "451" in adapter.restricted
    assert adapter.name.lower() in adapter.restricted.lower()
