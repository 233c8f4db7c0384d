"""The OpenAPI document, the AsyncAPI document beside it, and the page that shows both."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import get_args

import pytest
import yaml

from functions import docs_page, openapi
from functions.logic import archive_query, ohlcv_query
from functions.logic.html_parts import in_words, members, resolve, text
from local.gateway.http_api import ROUTES
from marketdata.client_messages import MAX_NAME_LENGTH, Channel
from marketdata.topics import MAIN_TYPE

ROOT = Path(__file__).parents[2]
TO_JSON = """functions/asyncapi.json is not docs/asyncapi.yaml: write it again with
    .venv/bin/python -c "import json, yaml; print(json.dumps(yaml.safe_load(
    open('docs/asyncapi.yaml')), indent=2, ensure_ascii=False))" > functions/asyncapi.json"""
VOID = {"meta", "br"}


def get(handler, path):
    answer = handler({"rawPath": path, "requestContext": {}}, None)
    assert answer["statusCode"] == 200
    return answer


@pytest.fixture(scope="module")
def document():
    return json.loads(get(openapi.handler, "/api/openapi.json")["body"])


@pytest.fixture(scope="module")
def asyncapi():
    return json.loads(get(openapi.handler, "/api/asyncapi.json")["body"])


@pytest.fixture(scope="module")
def page():
    return get(docs_page.handler, "/docs")["body"]


def parameters_of(document, path):
    return {one["name"]: one for one in document["paths"][path]["get"]["parameters"]}


def test_the_document_has_every_route_and_no_other(document):
    told = {
        (method.upper(), path)
        for path, methods in document["paths"].items()
        for method in methods
    }
    assert told == set(ROUTES)


def test_the_parameters_are_those_that_the_code_takes(document):
    ohlcv = parameters_of(document, "/api/ohlcv")
    assert list(ohlcv) == list(ohlcv_query.KNOWN)
    assert ohlcv["interval"]["schema"]["enum"] == list(ohlcv_query.INTERVALS)
    assert ohlcv["source"]["schema"]["enum"] == list(MAIN_TYPE)
    assert ohlcv["pair"]["schema"]["maxLength"] == MAX_NAME_LENGTH
    limit = ohlcv["limit"]["schema"]
    assert (limit["maximum"], limit["default"]) == (
        ohlcv_query.MAX_LIMIT,
        ohlcv_query.DEFAULT_LIMIT,
    )
    archive = parameters_of(document, "/api/archive")
    assert list(archive) == list(archive_query.KNOWN)
    assert archive["type"]["schema"]["enum"] == list(archive_query.TYPES)
    assert archive["exchange"]["schema"]["enum"] == list(MAIN_TYPE)
    for known, required in ((ohlcv, ohlcv_query.REQUIRED), (archive, archive_query.REQUIRED)):
        assert tuple(name for name, one in known.items() if one["required"]) == required


def test_an_instrument_has_the_channels_that_clients_can_ask_for(document):
    channels = document["components"]["schemas"]["Instrument"]["properties"]["channels"]
    assert tuple(channels["items"]["enum"]) == get_args(Channel)


def test_every_reference_of_both_documents_leads_somewhere(document, asyncapi):
    for whole in (document, asyncapi):
        references = re.findall(r'"\$ref": ?"(#[^"]+)"', json.dumps(whole))
        assert references
        assert all(resolve(whole, {"$ref": one}) for one in references)


def test_the_asyncapi_that_is_served_is_the_one_in_docs(asyncapi):
    written = yaml.safe_load((ROOT / "docs/asyncapi.yaml").read_text(encoding="utf-8"))
    assert asyncapi == written, TO_JSON


class Page(HTMLParser):
    """What a page says and has, and whether its tags are balanced."""

    def __init__(self):
        super().__init__()
        self.said, self.ids, self.links, self.tags, self.open = "", set(), [], set(), []

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.tags.add(tag)
        self.ids |= {found["id"]} if "id" in found else set()
        self.links += [found["href"]] if "href" in found else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.said += data


@pytest.fixture(scope="module")
def read(page):
    parsed = Page()
    parsed.feed(page)
    parsed.close()
    assert parsed.open == []
    return parsed


def test_the_page_says_what_both_documents_say(read, document, asyncapi):
    for path, methods in document["paths"].items():
        assert f"GET {path}" in read.said
        for one in methods["get"].get("parameters", ()):
            assert one["name"] in read.said
    for message in asyncapi["components"]["messages"].values():
        assert message["title"].replace("`", "") in read.said
    assert '{"type":"ping"}' in read.said
    assert "subscribe,BTC-USD" in read.said
    assert "15551.51" in read.said


def test_the_pages_links_lead_somewhere(read, document):
    inside = {link[1:] for link in read.links if link.startswith("#")}
    assert inside <= read.ids
    assert {f"/{link}" for link in read.links if not link.startswith("#")} <= set(
        document["paths"]
    )


def test_the_page_runs_nothing_and_loads_nothing(read):
    assert not read.tags & {"script", "link", "img", "iframe", "object", "form"}
    policy = get(docs_page.handler, "/docs")["headers"]["content-security-policy"]
    assert "default-src 'none'" in policy


def test_what_is_no_html_is_shown_as_it_is():
    assert text("a < `b & c`") == "a &lt; <code>b &amp; c</code>"
    hostile = {"properties": {"<script>": {"enum": ["<b>", 1]}}, "required": ["<script>"]}
    shown = members({}, hostile)
    assert "<script>" not in shown
    assert "<b>" not in shown


def test_a_schema_is_told_in_words():
    document = {"s": {"type": ["string", "null"], "maxLength": 5, "description": "A `name`."}}
    found = in_words(document, {"$ref": "#/s"})
    assert found == "string or null, at most 5 long<br>A <code>name</code>."
    either = {"oneOf": [{"type": "null"}, {"type": "array", "items": {"const": 1}}]}
    assert in_words({}, either) == "null or array of <code>1</code>"
    assert in_words({}, {"minimum": 0, "default": False}) == "anything, from 0, default false"
