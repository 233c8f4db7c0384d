"""The worker: always one copy at least, no privileges, exactly the variables that it reads."""

import pytest

from container_worker import settings as worker_settings
from container_worker.variables import DEFAULTS
from infra.settings import SIZES

SDK_VARIABLES = {"AWS_DEFAULT_REGION", "AWS_REGION"}


def containers(assembly):
    return {
        container["Command"][0]: container
        for task in assembly.properties("AWS::ECS::TaskDefinition")
        for container in task["ContainerDefinitions"]
    }


def variables(container):
    plain = {pair["Name"]: pair["Value"] for pair in container["Environment"]}
    return plain | {secret["Name"]: "secret" for secret in container.get("Secrets", [])}


def test_small_is_one_service_with_all_stages_and_standard_one_a_stage(small, standard):
    assert set(containers(small)) == {"all"}
    assert set(containers(standard)) == {"capture", "archive", "derive", "keep"}
    task = small.only("AWS::ECS::TaskDefinition")
    assert (task["Cpu"], task["Memory"]) == ("512", "2048")


def test_a_deployment_starts_the_new_task_before_it_stops_the_old(assembly):
    for service in assembly.properties("AWS::ECS::Service"):
        deployment = service["DeploymentConfiguration"]
        assert deployment["MinimumHealthyPercent"] == 100
        assert deployment["MaximumPercent"] == 200
        assert deployment["DeploymentCircuitBreaker"] == {"Enable": True, "Rollback": True}
        assert service["DesiredCount"] == 1


def test_tasks_run_on_arm_without_a_shell_to_enter(assembly):
    for service in assembly.properties("AWS::ECS::Service"):
        assert service["LaunchType"] == "FARGATE"
        assert service.get("EnableExecuteCommand", False) is False
    for task in assembly.properties("AWS::ECS::TaskDefinition"):
        assert task["RuntimePlatform"]["CpuArchitecture"] == "ARM64"


def test_a_task_has_a_public_address_and_the_group_that_lets_nothing_in(assembly, flat):
    for service in assembly.properties("AWS::ECS::Service"):
        network = service["NetworkConfiguration"]["AwsvpcConfiguration"]
        assert network["AssignPublicIp"] == "ENABLED"
        (group,) = network["SecurityGroups"]
        assert "WorkerGroup" in flat(group)
        assert all("workerSubnet" in flat(subnet) for subnet in network["Subnets"])


def test_a_stopping_task_has_longer_than_its_drain_takes(assembly):
    from container_worker.all_stages import DRAIN_S  # noqa: PLC0415

    for container in containers(assembly).values():
        assert container["StopTimeout"] > DRAIN_S


def test_a_container_cannot_change_its_own_files_and_gets_no_privileges(assembly):
    for container in containers(assembly).values():
        assert container["ReadonlyRootFilesystem"] is True
        assert container.get("Privileged", False) is False
        assert container["LinuxParameters"]["InitProcessEnabled"] is True


def test_what_a_container_says_is_kept_for_a_month(assembly):
    groups = assembly.all("AWS::Logs::LogGroup")
    for container in containers(assembly).values():
        options = container["LogConfiguration"]["Options"]
        group = groups[options["awslogs-group"]["Ref"]]
        assert group["Properties"]["RetentionInDays"] == 30


def test_every_variable_is_one_that_the_worker_knows(assembly):
    for container in containers(assembly).values():
        assert set(SDK_VARIABLES) <= set(variables(container))
        assert set(variables(container)) - SDK_VARIABLES <= set(DEFAULTS)


def made_at_deployment(name):
    return f"https://api.example.org/{name}" if "_URL_" in name else f"arn:aws:x:r-1:1:{name}"


@pytest.mark.parametrize("size", ["small", "standard", "scram"])
def test_every_stage_starts_with_the_variables_that_it_gets(size, request):
    assembly = request.getfixturevalue(size)
    readers = {
        "capture": worker_settings.read_capture,
        "archive": worker_settings.read_archive,
        "derive": worker_settings.read_derive,
        "keep": worker_settings.read_keep,
    }
    for name, container in containers(assembly).items():
        given = {
            key: value if isinstance(value, str) else made_at_deployment(key)
            for key, value in variables(container).items()
        }
        for stage in readers if name == "all" else [name]:
            read = readers[stage](given)
            assert read.kafka.cluster_arn
            assert read.kafka.auth == ("scram" if size == "scram" else "iam")
            assert not read.kafka.bootstrap_servers


def test_the_streams_reach_capture_as_they_stand_in_the_file(small, standard):
    from infra.build_functions import ROOT  # noqa: PLC0415

    text = (ROOT / "infra" / "streams.yaml").read_text()
    assert variables(containers(small)["all"])["STREAMS"] == text
    mine = (ROOT / "tests" / "infra" / "streams_of_all.yaml").read_text()
    assert variables(containers(standard)["capture"])["STREAMS"] == mine
    assert "STREAMS" not in variables(containers(standard)["archive"])


def test_addresses_of_another_exchange_site_reach_capture(small, standard):
    assert "BINANCE_WS_URL" not in variables(containers(small)["all"])
    given = variables(containers(standard)["capture"])
    assert given["BINANCE_WS_URL"] == "wss://example.org:7443/ws"


def test_a_password_comes_from_secrets_manager_and_is_in_no_template(small, scram, flat):
    assert not any("Secrets" in container for container in containers(small).values())
    for container in containers(scram).values():
        secrets = {secret["Name"]: flat(secret["ValueFrom"]) for secret in container["Secrets"]}
        assert secrets["KAFKA_USER_PRODUCER"].endswith(":username::")
        assert secrets["KAFKA_PASSWORD_PRODUCER"].endswith(":password::")


def test_stockbits_token_and_the_nodes_key_reach_capture_alone(small, standard, flat):
    assert small.all("AWS::SecretsManager::Secret") == {}
    token = standard.only("AWS::SecretsManager::Secret")
    assert "SecretString" not in token
    capture = containers(standard)["capture"]
    given = variables(capture)
    assert "StockbitToken" in flat(given["STOCKBIT_TOKEN_SECRET"])
    assert given["STOCKBIT_WIRE"] == "channel"
    (secret,) = capture["Secrets"]
    assert secret["Name"] == "STELLAR_AUTH_HEADER"
    assert "secret:node-AbCdEf" in flat(secret["ValueFrom"])
    for stage in ("archive", "derive", "keep"):
        other = containers(standard)[stage]
        assert "Secrets" not in other
        assert not {name for name in variables(other) if name.startswith(("STOCK", "STELL"))}


def test_the_image_is_built_from_the_dockerfile_or_taken_ready_made(small, standard, flat):
    assert "cdk-hnb659fds-container-assets" in str(containers(small)["all"]["Image"])
    for container in containers(standard).values():
        assert container["Image"] == "example/tapedeck:1"


def test_an_image_of_ones_own_account_may_be_pulled(scram, flat):
    image = flat(containers(scram)["all"]["Image"])
    assert image == ("111122223333.dkr.ecr.eu-central-1.${AWS::URLSuffix}/mine/tapedeck:7")
    pulls = [
        flat(statement["Resource"])
        for policy in scram.properties("AWS::IAM::Policy")
        for statement in policy["PolicyDocument"]["Statement"]
        if "ecr:BatchGetImage" in statement["Action"]
    ]
    assert pulls == [
        "arn:${AWS::Partition}:ecr:eu-central-1:111122223333:repository/mine/tapedeck"
    ]


def test_the_stages_of_every_size_are_stages_of_the_worker():
    from container_worker.__main__ import STAGES  # noqa: PLC0415

    for size in SIZES.values():
        assert set(size.worker_stages) <= set(STAGES)
