"""Where Stockbit's token comes from, and that it goes nowhere else."""

import json
import logging

import boto3
import pytest
from moto import mock_aws

from container_worker.capture.reach import reach_all
from container_worker.exchange_settings import (
    ExchangeSettings,
    StellarSettings,
    StockbitSettings,
)
from container_worker.exchanges import REGISTRY
from container_worker.exchanges.adapter import Endpoints
from container_worker.token_source import TokenManager
from marketdata.errors import BadCredential

TOKEN = "eyJhbGciOiJub25lIn0.eyJkYXRhIjp7InVpZCI6NDgyNjQ1N319."
OTHER = "eyJhbGciOiJub25lIn0.eyJkYXRhIjp7InVpZCI6MX19."


def give_key(_request):
    return b'{"data":{"key":"k"}}'


@pytest.fixture
def secrets(monkeypatch):
    """Secrets Manager with one secret, `stockbit`; `secrets(value)` changes it."""
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    with mock_aws():
        client = boto3.client("secretsmanager")
        client.create_secret(Name="stockbit", SecretString=TOKEN)
        yield lambda **value: client.put_secret_value(SecretId="stockbit", **value)


def test_a_token_that_was_set_goes_before_every_variable() -> None:
    manager = TokenManager(StockbitSettings(token=OTHER))
    manager.set_token(TOKEN)
    assert manager.token() == TOKEN
    manager.set_token("")
    assert manager.token() == OTHER


@pytest.mark.parametrize(
    "text", [TOKEN, f"Bearer {TOKEN}", f"  {TOKEN}\n", f"Bearer  {TOKEN} "]
)
def test_the_word_bearer_and_blanks_do_not_matter(text, tmp_path) -> None:
    manager = TokenManager(StockbitSettings())
    manager.set_token(text)
    assert manager.token() == TOKEN
    file = tmp_path / "token"
    file.write_text(text)
    assert TokenManager(StockbitSettings(token_file=str(file))).token() == TOKEN


def test_without_settings_the_variables_of_the_process_decide(monkeypatch, tmp_path) -> None:
    for name in ("STOCKBIT_TOKEN", "STOCKBIT_TOKEN_FILE", "STOCKBIT_TOKEN_SECRET"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("STOCKBIT_TOKEN", TOKEN)
    assert TokenManager().token() == TOKEN
    monkeypatch.delenv("STOCKBIT_TOKEN")
    (tmp_path / "token").write_text(OTHER)
    monkeypatch.setenv("STOCKBIT_TOKEN_FILE", str(tmp_path / "token"))
    assert TokenManager().token() == OTHER


def test_a_file_is_read_again_at_each_use(tmp_path) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    manager = TokenManager(StockbitSettings(token_file=str(file)))
    assert manager.token() == TOKEN
    file.write_text(json.dumps({"token": OTHER, "note": "new"}))
    assert manager.token() == OTHER


def test_a_secret_is_asked_for_once_and_again_after_renew(secrets) -> None:
    manager = TokenManager(StockbitSettings(token_secret="stockbit"))
    assert manager.token() == TOKEN
    secrets(SecretString=json.dumps({"token": OTHER}))
    assert manager.token() == TOKEN
    manager.renew()
    assert manager.token() == OTHER


def test_each_session_asks_for_the_secret_anew(secrets) -> None:
    settings = ExchangeSettings(
        endpoints=dict.fromkeys(REGISTRY, Endpoints("", "")),
        stockbit=StockbitSettings(token_secret="stockbit"),
        stellar=StellarSettings(),
    )
    reach = reach_all(settings)["stockbit"]
    assert reach.session(give_key).token == TOKEN
    secrets(SecretString=OTHER)
    assert reach.session(give_key).token == OTHER


def test_a_secret_may_be_binary_and_named_by_its_arn(secrets) -> None:
    answer = secrets(SecretBinary=TOKEN.encode())
    manager = TokenManager(StockbitSettings(token_secret=answer["ARN"]))
    assert manager.token() == TOKEN


def test_no_place_at_all_is_one_sentence_that_names_the_three() -> None:
    with pytest.raises(BadCredential) as caught:
        TokenManager(StockbitSettings()).token()
    text = str(caught.value)
    assert all(f"STOCKBIT_TOKEN{end}" in text for end in ("", "_FILE", "_SECRET"))
    assert "\n" not in text


@pytest.mark.parametrize(
    "content", ["", "  \n", "Bearer ", '{"key": "x"}', "{", '{"token": 5}']
)
def test_a_file_without_a_token_is_named(content, tmp_path) -> None:
    file = tmp_path / "token"
    file.write_text(content)
    with pytest.raises(BadCredential, match="STOCKBIT_TOKEN_FILE"):
        TokenManager(StockbitSettings(token_file=str(file))).token()


def test_a_file_that_is_not_there_is_named(tmp_path) -> None:
    with pytest.raises(BadCredential, match=r"STOCKBIT_TOKEN_FILE.*gone"):
        TokenManager(StockbitSettings(token_file=str(tmp_path / "gone"))).token()


def test_a_secret_that_is_not_there_is_named(secrets) -> None:
    with pytest.raises(BadCredential, match=r"STOCKBIT_TOKEN_SECRET.*'other'.*ResourceNot"):
        TokenManager(StockbitSettings(token_secret="other")).token()


def test_secrets_manager_out_of_reach_is_a_sentence_within_seconds(monkeypatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(BadCredential, match="STOCKBIT_TOKEN_SECRET"):
        TokenManager(StockbitSettings(token_secret="stockbit")).token()


def test_no_repr_error_or_log_has_the_token(tmp_path, caplog, secrets) -> None:
    caplog.set_level(logging.DEBUG, logger="tapedeck")
    (tmp_path / "token").write_text(json.dumps({"tokens": TOKEN}))
    managers = [
        TokenManager(StockbitSettings(token=TOKEN)),
        TokenManager(StockbitSettings(token_file=str(tmp_path / "token"))),
        TokenManager(StockbitSettings(token_secret="stockbit")),
        TokenManager(StockbitSettings()),
    ]
    managers[3].set_token(TOKEN)
    shown = [repr(manager) for manager in managers]
    managers[2].token()
    with pytest.raises(BadCredential) as caught:
        managers[1].token()
    shown += [repr(managers[2]), repr(caught.value), caplog.text]
    assert all("eyJ" not in text for text in shown)
    assert shown[0] == "TokenManager(STOCKBIT_TOKEN)"
