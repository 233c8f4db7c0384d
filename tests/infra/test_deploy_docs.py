"""docs/deploy.md and docs/cost.md say what the code does."""

import re
from pathlib import Path

from infra.settings import KEYS, MAX_STREAMS_BYTES, SIZES

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = (ROOT / "docs" / "deploy.md").read_text()
COST = (ROOT / "docs" / "cost.md").read_text()
HOURS = 730


def test_every_context_key_is_described_and_no_other():
    table = DEPLOY.split("## Choices")[1].split("##")[0]
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    described = {key for cell in cells for key in re.findall(r"`(\w+)`", cell)}
    assert described == set(KEYS)


def test_every_stack_output_and_alarm_is_named(small, standard):
    for assembly in (small, standard):
        for stack, template in assembly.templates.items():
            assert f"`{stack}`" in DEPLOY
            for name in template.get("Outputs", {}):
                assert name.startswith("ExportsOutput") or f"`{name}`" in DEPLOY
        for name in assembly.all("AWS::CloudWatch::Alarm"):
            alarm = re.sub(r"^Observability|[0-9A-F]{8}$", "", name)
            assert f"`{re.sub('Broker[0-9]', 'Broker1', alarm)}`" in DEPLOY


def test_the_streams_that_are_shown_are_those_that_are_deployed():
    import yaml  # noqa: PLC0415

    shown = re.search(r"((?:    streams:\n)(?:      .*\n)+)", DEPLOY)[1]
    deployed = (ROOT / "infra" / "streams.yaml").read_text()
    assert yaml.safe_load(shown) == yaml.safe_load(deployed)
    assert f"{MAX_STREAMS_BYTES // 1024} KB at most" in DEPLOY


def test_the_sums_add_up():
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in COST.split("## Standing still")[1].split("\n\n")[1].splitlines()[2:]
    ]
    for column in (3, 5):
        amounts = [re.search(r"[\d.]+", row[column]) for row in rows]
        *parts, total = [float(amount[0]) if amount else 0.0 for amount in amounts]
        assert round(sum(parts), 2) == total


def test_the_brokers_and_disks_of_the_table_are_those_of_the_sizes():
    hourly = {"kafka.t3.small": 0.0456, "kafka.m7g.large": 0.204}
    for size in SIZES.values():
        brokers = size.brokers * hourly[size.broker_type] * HOURS
        assert f"| {size.brokers} | {brokers:.2f} |" in COST
        disks = size.brokers * size.storage_gb * 0.10
        assert re.search(rf"\| {size.brokers} . {size.storage_gb} GB \| {disks:.2f} \|", COST)


def test_the_containers_of_the_table_are_those_of_the_sizes():
    for size in SIZES.values():
        one = (
            size.worker_cpu / 1024 * 0.03238 + size.worker_memory_mib / 1024 * 0.00356
        ) * HOURS
        assert f"{one * len(size.worker_stages):.2f}" in COST


def test_the_alarms_are_counted(small, standard):
    assert f"| {len(small.all('AWS::CloudWatch::Alarm'))} | 1.00 |" in COST
    assert f"| {len(standard.all('AWS::CloudWatch::Alarm'))} | 1.40 |" in COST
