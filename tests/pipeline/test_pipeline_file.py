"""The pipeline file: what it means, and every fault in it at once, with its line."""

import json

import pytest

from local import pipeline_file
from local.pipeline_file import chosen, parse
from marketdata.errors import InputError, SettingsError

USDC = "CCW67TSZV3SSS2HXMBQ5JFGCKJNXKZM7UQUWUZPUTHXSTZLEO7SJMI75"
SMALLEST = """\
pipelines:
  One:
    source: {type: RPCSourceAdapter, config: {rpc_url: "https://rpc.example/?key=sesame"}}
    consumers:
      - type: SaveToWebSocket
"""
FAULTY = """\
pipelines:
  Faulty:
    sources: {}
    source:
      type: RpcSourceAdaptor
      config:
        rpc_url: "stellar.org"
        pol_interval: 5
        start_ledger: -1
        filters:
          - type: contract
            contractIds: ["C123"]
            topics: [["*", "transfer"]]
        pagination: {limit: 20000, cursor: x}
        xdrFormat: JSON
    processors:
      - type: GetEventRPC
        config: {fast: yes}
    consumers:
      - type: SaveToWebsocket
        config: {port: 8080}
      - type: SaveToWebSocket
        config:
          port: "80800"
          path: ws
          max_queue_size: many
          port: 8080
      - type: SaveToWebSocket
        config: {path: /api/x}
      - type: SaveToPostgreSQL
        config:
          databse: events
          username: [postgres]
          password: open sesame
          sslmode: required
          table: "drop table"
"""


def faults_of(text, source="file.yaml"):
    with pytest.raises(SettingsError) as caught:
        parse(text, source)
    return list(caught.value.faults)


def test_the_documents_file_is_read_as_it_is_printed(pipeline_text):
    [pipeline] = parse(pipeline_text, "file.yaml")
    source, websocket = pipeline.source, pipeline.websocket
    assert pipeline.name == "ContractEventsWebSocket"
    assert source.rpc_url == "https://rpc-mainnet.stellar.org"
    assert (source.start_ledger, source.poll_seconds) == ("2000000", "5")
    assert (source.page_limit, source.xdr_format) == ("1000", "json")
    assert json.loads(source.filters) == [
        {"type": "contract", "contractIds": [USDC], "topics": [["*"]]}
    ]
    assert (websocket.port, websocket.path, websocket.max_queue_size) == (8080, "/ws", 5000)
    [database] = pipeline.databases
    assert (database.server, database.database) == ("localhost:5432", "stellar_events")
    assert (database.user, database.password) == ("postgres", "password")


def test_a_filter_that_lets_little_through_is_said_with_its_line(pipeline_text):
    [note] = parse(pipeline_text, "file.yaml")[0].source.notes
    line = 1 + pipeline_text[: pipeline_text.index("- type")].count("\n")
    assert note.startswith(f"line {line}: filter 1: topics")
    assert '[["**"]]' in note


def test_what_is_left_out_has_the_documents_defaults():
    [pipeline] = parse(SMALLEST, "file.yaml")
    source, websocket = pipeline.source, pipeline.websocket
    assert (websocket.port, websocket.path, websocket.max_queue_size) == (8080, "/ws", 1000)
    assert (source.start_ledger, source.poll_seconds, source.filters) == ("0", "5", b"[]")
    assert pipeline.databases == ()


@pytest.mark.parametrize("port", ["٣", "８０８１", "8081 x", ".nan", "0x1F90"])  # noqa: RUF001
def test_a_port_in_other_digits_is_none(port):
    [fault] = faults_of(SMALLEST + f"        config: {{port: {port}}}\n")
    assert fault.startswith("file.yaml: line 6: port of config of consumer 1")
    assert "not a whole number from 1 to 65535" in fault


@pytest.mark.parametrize("port", ["8081", '"8081"', "8081.0", '" 8081 "'])
def test_a_port_may_be_a_number_or_a_text(port):
    [pipeline] = parse(SMALLEST + f"        config: {{port: {port}}}\n", "file.yaml")
    assert pipeline.websocket.port == 8081


def test_every_fault_is_named_at_once_with_its_line_and_the_nearest_word():
    found = faults_of(FAULTY)
    wanted = [
        (3, "unknown key 'sources': did you mean source?"),
        (5, "'RpcSourceAdaptor', which is unknown: did you mean RPCSourceAdapter?"),
        (7, "rpc_url of config of source of the pipeline Faulty is not a URL"),
        (8, "unknown key 'pol_interval': did you mean poll_interval?"),
        (9, "'-1', not a whole number from 0 to 4294967295"),
        (11, 'filter 1: contractIds 1: "C123" is not a contract'),
        (11, 'filter 1: topics 1: segment 2: "transfer"'),
        (14, "unknown key 'cursor'; known: limit"),
        (14, "'20000', not a whole number from 1 to 10000"),
        (15, "'JSON', which is unknown: did you mean json?"),
        (17, "'GetEventRPC', which is unknown: did you mean GetEventsRPC?"),
        (18, "unknown key 'fast'; it takes none"),
        (20, "'SaveToWebsocket', which is unknown: did you mean SaveToWebSocket?"),
        (24, "'80800', not a whole number from 1 to 65535"),
        (25, "'ws', not a path like /ws"),
        (26, "'many', not a whole number from 1 to 100000"),
        (27, "has 'port' twice"),
        (28, "is a second SaveToWebSocket"),
        (29, "'/api/x', which is the HTTP API's"),
        (32, "unknown key 'databse': did you mean database?"),
        (32, "database of config of consumer 4 is missing"),
        (33, "must be one value"),
        (35, "'required', which is unknown: did you mean require?"),
        (36, "'drop table' is not a table's name"),
    ]
    assert len(found) == len(wanted)
    for fault, (line, words) in zip(found, wanted, strict=True):
        assert fault.startswith(f"file.yaml: line {line}: ")
        assert words in fault
    assert "sesame" not in "\n".join(found)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the file is empty"),
        ("pipelines: [", "line 1: not YAML"),
        ("pipelines: &a [*a]", "must be a mapping"),
        ("pipelines:\n  - x\n  - \x07y\n", "line 3: not YAML: the character U+0007 is not"),
        ("pipelines: {}", "pipelines of the file has none"),
        (
            "a:\n " + "[" * 3000 + "]" * 3000,
            "line 2: not YAML: it is nested more than 100 deep",
        ),
        (
            SMALLEST.replace("rpc_url:", "filters: [!!bool maybe], rpc_url:"),
            "line 3: 'maybe' is no bool",
        ),
        ("pipeline: {}", "did you mean pipelines?"),
        ("a: !!python/object:os.system x", "unknown key 'a'"),
        ("pipelines: {P: null}", "the pipeline P must be a mapping"),
        ("pipelines:\n  P:\n    consumers: []\n", "is an empty list"),
        ("pipelines:\n  P:\n    consumers:\n", "consumers of the pipeline P is missing"),
    ],
)
def test_what_is_no_pipeline_file_is_said_in_words(text, words):
    assert words in "\n".join(faults_of(text))


def test_a_list_that_repeats_itself_for_ever_is_refused():
    text = SMALLEST.replace("rpc_url:", "filters: &a [{topics: *a}], rpc_url:")
    assert "has more than 10000 entries" in "\n".join(faults_of(text))
    rows = "\n".join(f"  - &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(2, 9))
    bomb = f"x:\n  - &l1 [a]\n{rows}\n" + SMALLEST.replace(
        "rpc_url:", "filters: [*l8], rpc_url:"
    )
    assert "has more than 10000 entries" in "\n".join(faults_of(bomb))


def test_of_several_pipelines_one_is_chosen_by_its_name():
    two = SMALLEST + SMALLEST.replace("pipelines:\n", "").replace("One", "Two")
    pipelines = parse(two, "file.yaml")
    assert chosen(pipelines, "Two", "file.yaml").name == "Two"
    with pytest.raises(SettingsError, match="choose with --pipeline: One, Two"):
        chosen(pipelines, None, "file.yaml")
    with pytest.raises(SettingsError, match=r"no pipeline 'Tow': did you mean Two\?"):
        chosen(pipelines, "Tow", "file.yaml")


def test_secrets_are_in_no_repr(pipeline_text):
    text = pipeline_text.replace('"password"', '"open sesame"').replace(
        'auth_header: ""', 'auth_header: "Bearer sesame"'
    )
    [pipeline] = parse(text, "file.yaml")
    assert pipeline.source.auth_header == "Bearer sesame"
    assert "sesame" not in repr(pipeline) + repr(parse(SMALLEST, "file.yaml"))


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.yaml: No such file"):
        pipeline_file.read(tmp_path / "none.yaml")
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="it is not UTF-8 text"):
        pipeline_file.read(tmp_path / "bytes.yaml")
