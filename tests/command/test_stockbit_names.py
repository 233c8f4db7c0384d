"""What the order book guide imports, from `tapedeck`."""

import subprocess
import sys

import pytest

import tapedeck


def test_the_guides_names_come_from_tapedeck() -> None:
    from tapedeck import (  # noqa: PLC0415 - the line that a user writes
        TokenManager,
        decode_orderbook_message,
        encode_websocket_request,
    )

    manager = TokenManager()
    manager.set_token("your_bearer_token_here")
    assert manager.token() == "your_bearer_token_here"
    assert encode_websocket_request(4826457, ["BBCA"], "key", "token").startswith(b"\x08")
    assert decode_orderbook_message(b"\x0a\x04BBCA\x12\x04BUY|").ticker == "BBCA"


def test_every_exported_name_is_there() -> None:
    for name in tapedeck.__all__:
        assert getattr(tapedeck, name) is not None
        assert name in dir(tapedeck)


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="OrderbookStreamer"):
        _ = tapedeck.OrderbookStreamer


def test_importing_tapedeck_loads_no_aws_library() -> None:
    code = "import sys, tapedeck; sys.exit('boto3' in sys.modules or 'msgspec' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
