"""Alarms that mean something, on metrics that exist."""

import json
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

NAMES = {
    "small": {"AllNotRunning", "Broker1DiskFilling", "Broker2DiskFilling"},
    "standard": {
        "CaptureNotRunning",
        "ArchiveNotRunning",
        "DeriveNotRunning",
        "KeepNotRunning",
        "Broker1DiskFilling",
        "Broker2DiskFilling",
        "Broker3DiskFilling",
    },
}
EVERYWHERE = {
    "PushFailing",
    "HistoryFailing",
    "PushThrottled",
    "PushBehind",
    "AuthorizerFailing",
    "ArchiveBehind",
    "DeriveBehind",
}


def alarms(assembly):
    return {
        name.removeprefix("Observability")[:-8]: resource["Properties"]
        for name, resource in assembly.all("AWS::CloudWatch::Alarm").items()
    }


def test_there_is_an_alarm_for_each_way_in_which_users_are_let_down(small, standard):
    for assembly, name in ((small, "small"), (standard, "standard")):
        assert set(alarms(assembly)) == NAMES[name] | EVERYWHERE


def test_every_alarm_says_in_a_sentence_what_happened(assembly):
    for alarm in alarms(assembly).values():
        assert alarm["AlarmDescription"].endswith(".")
        assert len(alarm["AlarmDescription"].split()) > 5


def test_a_worker_that_sends_no_samples_is_a_worker_that_does_not_run(assembly):
    for name, alarm in alarms(assembly).items():
        silent = alarm["TreatMissingData"]
        if name.endswith("NotRunning"):
            assert silent == "breaching"
            assert alarm["ComparisonOperator"] == "LessThanThreshold"
            assert alarm["Statistic"] == "SampleCount"
            assert (alarm["Threshold"], alarm["Period"]) == (1, 60)
            assert {one["Name"] for one in alarm["Dimensions"]} == {
                "ClusterName",
                "ServiceName",
            }
        else:
            assert silent == "notBreaching"


def test_lag_is_watched_for_every_consumer_group(assembly):
    found = alarms(assembly)
    assert found["PushBehind"]["MetricName"] == "OffsetLag"
    assert found["PushBehind"]["Namespace"] == "AWS/Lambda"
    for name, group, topic in (
        ("ArchiveBehind", "archive", "orderbook"),
        ("DeriveBehind", "derive", "prices"),
    ):
        dimensions = {one["Name"]: one["Value"] for one in found[name]["Dimensions"]}
        assert dimensions == {
            "Cluster Name": assembly.only("AWS::MSK::Cluster")["ClusterName"],
            "Consumer Group": group,
            "Topic": topic,
        }


def test_a_wrong_key_raises_no_alarm_but_an_authorizer_that_breaks_does(assembly):
    alarm = alarms(assembly)["AuthorizerFailing"]
    counted = assembly.only("AWS::Logs::MetricFilter")
    (metric,) = counted["MetricTransformations"]
    assert (alarm["Namespace"], alarm["MetricName"]) == (
        metric["MetricNamespace"],
        metric["MetricName"],
    )
    assert counted["FilterPattern"] == '"[ERROR]" -"Exception: Unauthorized"'
    raised = (ROOT / "functions" / "authorize.py").read_text()
    assert 'raise Exception("Unauthorized")' in raised


def test_mail_is_sent_when_an_address_is_given(small, standard):
    assert not small.all("AWS::SNS::Topic")
    assert all("AlarmActions" not in alarm for alarm in alarms(small).values())
    (topic,) = standard.all("AWS::SNS::Topic")
    for alarm in alarms(standard).values():
        assert alarm["AlarmActions"] == alarm["OKActions"] == [{"Ref": topic}]
    subscription = standard.only("AWS::SNS::Subscription")
    assert subscription["Endpoint"] == "someone@example.org"


def test_the_dashboard_fits_a_page(assembly):
    body = assembly.only("AWS::CloudWatch::Dashboard")["DashboardBody"]
    text = "".join(part if isinstance(part, str) else "x" for part in body["Fn::Join"][1])
    assert len(json.loads(text)["widgets"]) == 6
