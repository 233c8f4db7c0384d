"""Least privilege: what each role may do, all of it, and nothing with a wildcard unnamed."""

import importlib.util
import re
from pathlib import Path

import pytest

from container_worker.keep.following import FOLLOWED
from container_worker.keep.ids import PUSHED
from marketdata.archive_layout import FOLDED
from marketdata.topics import ARCHIVED

ROOT = Path(__file__).resolve().parents[2]


def _load(name):
    path = ROOT / "tests" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"infra_{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


function_needs = _load("function_needs")
CLUSTER_ACTIONS = {
    "kafka:DescribeClusterV2",
    "kafka:GetBootstrapBrokers",
    "kafka-cluster:Connect",
    "kafka-cluster:DescribeClusterDynamicConfiguration",
    "kafka-cluster:WriteDataIdempotently",
}
ON_ANY_RESOURCE = {
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeVpcs",
    "ecr:GetAuthorizationToken",
}
"""Actions that AWS offers on every resource or on none; each is acknowledged with a reason."""


def listed(value):
    return value if isinstance(value, list) else [value]


def all_statements(assembly):
    for policy in assembly.properties("AWS::IAM::Policy"):
        yield from policy["PolicyDocument"]["Statement"]
    for role in assembly.properties("AWS::IAM::Role"):
        for policy in role.get("Policies", []):
            yield from policy["PolicyDocument"]["Statement"]


def test_no_statement_allows_every_action_of_a_service(assembly):
    for statement in all_statements(assembly):
        assert statement["Effect"] == "Allow"
        assert "NotAction" not in statement
        assert "NotResource" not in statement
        for action in listed(statement["Action"]):
            assert "*" not in action


def test_only_named_actions_are_allowed_on_every_resource(assembly):
    for statement in all_statements(assembly):
        if "*" in listed(statement["Resource"]):
            assert set(listed(statement["Action"])) <= ON_ANY_RESOURCE


def test_a_wildcard_within_a_resource_is_a_prefix_of_objects_or_connections(assembly, flat):
    for statement in all_statements(assembly):
        for resource in map(flat, listed(statement["Resource"])):
            if "*" in resource and resource != "*":
                assert re.search(
                    r"/(data|_state|(stream|ws)/(POST|GET|DELETE)/@connections)/\*$", resource
                )


def test_no_role_uses_a_managed_policy_but_the_accounts_logging_role(small, standard):
    for assembly, allowed in ((small, 0), (standard, 1)):
        managed = [
            role
            for role in assembly.properties("AWS::IAM::Role")
            if "ManagedPolicyArns" in role
        ]
        assert len(managed) == allowed


def test_only_aws_services_can_take_a_role(assembly):
    for role in assembly.properties("AWS::IAM::Role"):
        for statement in role["AssumeRolePolicyDocument"]["Statement"]:
            assert list(statement["Principal"]) == ["Service"]


def kafka_rights(assembly, role):
    """Rights on topics and groups, as `action name`."""
    rights = set()
    for action, resource in assembly.allowed(role):
        if action.startswith("kafka") and action not in CLUSTER_ACTIONS:
            name = resource.rpartition("/")[2]
            assert ":kafka:" in resource, resource
            rights.add(f"{action.removeprefix('kafka-cluster:')} {name}")
    return rights


def rights(actions, names):
    return {f"{action} {name}" for action in actions for name in names}


ARCHIVED_NAMES = {topic.name for topic in ARCHIVED}
CAPTURE = rights(
    ["DescribeTopic", "WriteData"], {*ARCHIVED_NAMES, "queue-events", "rejects"}
) | rights(["DescribeTopic", "ReadData"], {*ARCHIVED_NAMES, "queue-control"})
CAPTURE |= rights(["DescribeGroup"], ["capture-last-known"])
ARCHIVE = rights(["DescribeTopic", "ReadData"], {topic.name for topic in FOLDED}) | rights(
    ["AlterGroup", "DescribeGroup"], ["archive"]
)
ARCHIVE |= rights(["DescribeTopic", "WriteData"], ["queue-events"])
DERIVE = (
    rights(["DescribeTopic", "ReadData"], ["prices", "orderbook"])
    | rights(["DescribeTopic", "ReadData", "WriteData"], ["ticks", "candles"])
    | rights(["DescribeTopic", "WriteData"], ["depth"])
    | rights(["DescribeGroup"], ["derive-sent"])
    | rights(["AlterGroup", "DescribeGroup"], ["derive", "derive-candles", "derive-depth"])
)
KEEP = (
    rights(["DescribeTopic"], [topic.name for topic in PUSHED])
    | rights(["DescribeTopic", "ReadData"], [topic.name for topic in FOLLOWED])
    | rights(["DescribeGroup"], ["keep"])
)


def test_each_stage_has_its_own_topics_and_group(standard):
    for stage, wanted in (
        ("capture", CAPTURE),
        ("archive", ARCHIVE),
        ("derive", DERIVE),
        ("keep", KEEP),
    ):
        assert kafka_rights(standard, f"What the stage {stage} may do") == wanted


def test_only_capture_may_read_stockbits_token(standard):
    for stage, may in (
        ("capture", True),
        ("archive", False),
        ("derive", False),
        ("keep", False),
    ):
        allowed = standard.allowed(f"What the stage {stage} may do")
        found = [name for action, name in allowed if action == "secretsmanager:GetSecretValue"]
        assert [("StockbitToken" in name) for name in found] == ([True] if may else [])


def test_all_stages_in_one_container_have_the_sum_and_no_more(small):
    assert kafka_rights(small, "What the stage all may do") == CAPTURE | ARCHIVE | DERIVE | KEEP


def test_a_password_makes_kafka_rights_of_the_role_superfluous(scram):
    assert kafka_rights(scram, "What the stage all may do") == set()
    allowed = {action for action, _ in scram.allowed("What the stage all may do")}
    assert "kafka:GetBootstrapBrokers" in allowed


def test_only_archive_writes_objects_and_only_below_its_prefixes(standard):
    writing = {"s3:PutObject", "s3:AbortMultipartUpload", "s3:GetObject"}
    allowed = standard.allowed("What the stage archive may do")
    objects = {
        (action, resource.split("}")[-1]) for action, resource in allowed if action in writing
    }
    assert objects == {
        (action, prefix) for action in writing for prefix in ("/data/*", "/_state/*")
    }
    for stage in ("capture", "derive", "keep"):
        for action, _ in standard.allowed(f"What the stage {stage} may do"):
            assert not action.startswith("s3:")


GROUP = re.compile(r"""\bgroup="([a-z-]+)"|^_?GROUP = "([a-z-]+)"$""", re.MULTILINE)


def test_every_group_that_the_worker_names_is_one_that_it_may_use(small):
    used = {
        name
        for path in (ROOT / "container_worker").rglob("*.py")
        if path.name != "verify.py"  # run by a person, with that person's rights
        for found in GROUP.findall(path.read_text())
        for name in found
        if name
    }
    allowed = {
        right.split()[1]
        for right in kafka_rights(small, "What the stage all may do")
        if right.startswith("DescribeGroup")
    }
    assert used == allowed


def test_archive_may_ask_for_uploads_that_it_did_not_finish(standard):
    allowed = {
        action
        for action, resource in standard.allowed("What the stage archive may do")
        if action.startswith("s3:") and not resource.endswith("*")
    }
    assert allowed == {"s3:ListBucket", "s3:ListBucketMultipartUploads"}


def test_nothing_can_delete_an_object(assembly):
    for statement in all_statements(assembly):
        assert not any(
            "Delete" in a for a in listed(statement["Action"]) if a.startswith("s3:")
        )


def test_only_capture_writes_the_instruments(standard, flat):
    for stage, wanted in (
        ("capture", {"dynamodb:BatchWriteItem", "dynamodb:PutItem"}),
        ("archive", set()),
        ("derive", set()),
    ):
        allowed = standard.allowed(f"What the stage {stage} may do")
        tables = {(a, r) for a, r in allowed if a.startswith("dynamodb:")}
        assert {action for action, _ in tables} == wanted
        assert all("Instruments" in resource for _, resource in tables)


MODULES = function_needs.modules()
TABLE = re.compile(r"Storage(Connections|Keys|Instruments|Limits|Ring|Candles)")


def need(action, resource):
    """A statement as `function_needs` has it: the action, and the kind of what it is on."""
    service, _, name = action.partition(":")
    on = {"execute-api": "", "lambda": "welcome", "s3": "archive"}
    return name, on[service] if service in on else TABLE.search(resource)[1].lower()


@pytest.mark.parametrize("module", MODULES)
def test_a_function_may_do_what_its_module_says_it_needs(module, small):
    """And nothing else. The handlers' own tests fail when a call is none of these."""
    own = {
        need(action, resource)
        for action, resource in small.allowed(f"Runs functions.{module}.handler")
        if action.startswith(("dynamodb:", "execute-api:", "lambda:", "s3:"))
    }
    assert own == function_needs.needs(module)


POSTING = {"connect", "default", "disconnect", "push", "register", "subscribe", "welcome"}


def test_only_the_modules_that_post_may_reach_connections_and_only_connect_asks(assembly):
    for module in MODULES:
        reached = {
            re.search(r"/(\w+/\w+)/@connections/\*$", resource)[1]
            for action, resource in assembly.allowed(f"Runs functions.{module}.handler")
            if action == "execute-api:ManageConnections"
        }
        methods = (["POST"] if module in POSTING else []) + ["GET"] * (module == "connect")
        assert reached == {f"{stage}/{way}" for stage in ("stream", "ws") for way in methods}


SERVING = {"Connections", "Instruments", "Limits", "Ring"}
TABLES = {
    "authorize": {"Keys"},
    "connect": {"Connections", "Limits", "Ring"},
    "default": {*SERVING, "Candles"},
    "disconnect": {"Connections", "Limits"},
    "history": {"Candles", "Ring"},
    "ohlcv": {"Candles", "Instruments"},
    "ping": {"Connections"},
    "push": {"Connections", "Ring"},
    "register": SERVING - {"Instruments"},
    "subscribe": SERVING,
    "symbols": {"Instruments"},
    "unsubscribe": {"Connections", "Limits"},
    "welcome": {"Connections"},
}


def test_a_function_touches_only_the_tables_of_its_work(small):
    for module in MODULES:
        tables = {
            TABLE.search(resource)[1]
            for action, resource in small.allowed(f"Runs functions.{module}.handler")
            if action.startswith("dynamodb:")
        }
        assert tables == TABLES.get(module, set()), module


def test_the_keeper_reads_of_the_keys_only_which_were_revoked(small):
    (statement,) = [
        one
        for one in small.statements("What the stage all may do")
        if "StorageKeys" in str(one["Resource"])
    ]
    assert statement["Action"] == "dynamodb:Query"
    assert statement["Condition"] == {
        "ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["REVOKED"]}
    }


@pytest.mark.parametrize(
    ("module", "groups"),
    [
        (
            "push",
            {
                "push": "ticks",
                "push-candles": "candles",
                "push-depth": "depth",
                "push-events": "events",
            },
        ),
        ("history", {"history": "candles"}),
    ],
)
def test_pollers_read_their_topics_as_their_groups_and_nothing_else(assembly, module, groups):
    assert kafka_rights(assembly, f"Runs functions.{module}.handler") == rights(
        ["DescribeTopic", "ReadData"], groups.values()
    ) | rights(["AlterGroup", "DescribeGroup"], groups)
    cluster = {
        action
        for action, _ in assembly.allowed(f"Runs functions.{module}.handler")
        if action in CLUSTER_ACTIONS
    }
    assert cluster == CLUSTER_ACTIONS - {"kafka-cluster:WriteDataIdempotently"}


def test_every_function_may_write_its_own_log_and_no_other(small, flat):
    for module in MODULES:
        function = small.function(f"functions.{module}.handler")
        group = function["LoggingConfig"]["LogGroup"]["Ref"]
        logs = {
            (action, resource)
            for action, resource in small.allowed(f"Runs functions.{module}.handler")
            if action.startswith("logs:")
        }
        assert logs == {
            ("logs:CreateLogStream", f"${{{group}.Arn}}"),
            ("logs:PutLogEvents", f"${{{group}.Arn}}"),
        }
