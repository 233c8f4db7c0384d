"""What browsers ask of the HTTP API: pages of other ports, and the page that shows it."""

import pytest
import requests

from local.gateway.http_api import ROUTES

pytestmark = pytest.mark.services

PAGE = "http://localhost:5173"


@pytest.mark.parametrize("path", sorted({path for _, path in ROUTES}))
def test_a_page_of_this_machine_may_ask_and_read(gateway, path):
    asked = {"Origin": PAGE, "Access-Control-Request-Method": "GET"}
    before = requests.options(f"{gateway.api}{path}", headers=asked, timeout=10)
    assert before.status_code == 204
    assert before.headers["Access-Control-Allow-Methods"] == "GET"
    assert "authorization" in before.headers["Access-Control-Allow-Headers"]
    answer = requests.get(f"{gateway.api}{path}", headers={"Origin": PAGE}, timeout=10)
    for one in (before, answer):
        assert one.headers["Access-Control-Allow-Origin"] == PAGE
        assert one.headers["Vary"] == "Origin"
    assert answer.headers["Access-Control-Expose-Headers"] == "link"


def test_another_sites_page_may_neither_ask_nor_read(gateway):
    foreign = {"Origin": "https://evil.example"}
    for method in (requests.options, requests.get):
        answer = method(f"{gateway.api}/api/symbols", headers=foreign, timeout=10)
        assert answer.status_code == 403
        assert "Access-Control-Allow-Origin" not in answer.headers


def test_who_is_no_page_is_told_nothing_of_origins(gateway):
    answer = requests.get(f"{gateway.api}/api/symbols", timeout=10)
    assert not [name for name in answer.headers if name.startswith("Access-Control")]


def test_the_documents_and_their_page_are_served(gateway):
    openapi = requests.get(f"{gateway.api}/api/openapi.json", timeout=10)
    asyncapi = requests.get(f"{gateway.api}/api/asyncapi.json", timeout=10)
    assert openapi.json()["openapi"] == "3.1.0"
    assert asyncapi.json()["asyncapi"].startswith("3.")
    page = requests.get(f"{gateway.api}/docs", timeout=10)
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "GET /api/ohlcv" in page.text
