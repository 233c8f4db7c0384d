"""Alarms on what a user would notice, and one dashboard.

metrics that AWS keeps anyway ─► alarms ─► e-mail (when one is given)
"""

from dataclasses import dataclass

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from infra.broker import CLUSTER_NAME
from infra.metrics import Metrics

ARCHIVE_LAG_S = 900
DERIVE_LAG_S = 60
DISK_PERCENT = 75
PUSH_LAG_RECORDS = 5000


@dataclass(frozen=True, slots=True)
class AlarmRule:
    """When an alarm goes off: `metric` beyond `threshold` for `minutes` in a row.

    `silence_is_bad` says what missing data means: a worker without samples does not run.
    """

    name: str
    says: str
    metric: cloudwatch.IMetric
    threshold: float
    minutes: int
    below: bool = False
    silence_is_bad: bool = False


class Observability(Construct):
    """The alarms and the dashboard of one deployment.

    Attributes:
        alarms: By name; docs/deploy.md says what each means and what to do.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, metrics: Metrics, brokers: int, email: str
    ) -> None:
        super().__init__(scope, construct_id)
        self._topic = self._mail(email) if email else None
        rules = [
            *_worker_rules(metrics),
            *_push_rules(metrics, self),
            *_kafka_rules(metrics, brokers),
        ]
        self.alarms = {rule.name: self._alarm(rule) for rule in rules}
        self._dashboard(metrics, brokers)

    def _mail(self, email: str) -> sns.Topic:
        topic = sns.Topic(self, "Mail", display_name="Tapedeck alarms", enforce_ssl=True)
        topic.add_subscription(subscriptions.EmailSubscription(email))
        return topic

    def _alarm(self, rule: AlarmRule) -> cloudwatch.Alarm:
        comparison = cloudwatch.ComparisonOperator
        missing = cloudwatch.TreatMissingData
        alarm = cloudwatch.Alarm(
            self,
            rule.name,
            alarm_description=rule.says,
            metric=rule.metric,
            threshold=rule.threshold,
            evaluation_periods=rule.minutes,
            comparison_operator=(
                comparison.LESS_THAN_THRESHOLD
                if rule.below
                else comparison.GREATER_THAN_THRESHOLD
            ),
            treat_missing_data=(
                missing.BREACHING if rule.silence_is_bad else missing.NOT_BREACHING
            ),
        )
        if self._topic:
            alarm.add_alarm_action(actions.SnsAction(self._topic))
            alarm.add_ok_action(actions.SnsAction(self._topic))
        return alarm

    def _dashboard(self, metrics: Metrics, brokers: int) -> None:
        graphs: dict[str, list[cloudwatch.IMetric]] = {
            "Clients: connections and messages": metrics.clients(),
            "Push: errors, throttles, records behind": metrics.push_health(),
            "Push: duration": [metrics.push_duration()],
            "Seconds behind in Kafka": [
                metrics.time_lag("archive"),
                metrics.time_lag("derive"),
            ],
            "Worker: CPU and memory": metrics.worker_load(),
            "Kafka: disk used, percent": [
                metrics.broker_disk(broker) for broker in range(1, brokers + 1)
            ],
        }
        widgets: list[cloudwatch.IWidget] = [
            cloudwatch.GraphWidget(title=title, left=left, width=12)
            for title, left in graphs.items()
        ]
        cloudwatch.Dashboard(
            self,
            "Dashboard",
            dashboard_name=CLUSTER_NAME,
            default_interval=Duration.hours(3),
            widgets=[widgets[:2], widgets[2:4], widgets[4:]],
        )


def _worker_rules(metrics: Metrics) -> list[AlarmRule]:
    return [
        AlarmRule(
            name=f"{stage.capitalize()}NotRunning",
            says=f"The worker service {stage} has had no running task for three minutes.",
            metric=metrics.running_tasks(stage),
            threshold=1,
            minutes=3,
            below=True,
            silence_is_bad=True,
        )
        for stage in metrics.worker_stages
    ]


def _push_rules(metrics: Metrics, scope: Construct) -> list[AlarmRule]:
    return [
        AlarmRule(
            name="PushFailing",
            says="The push function has failed for three minutes; clients get no prices.",
            metric=metrics.push_errors(),
            threshold=0,
            minutes=3,
        ),
        AlarmRule(
            name="HistoryFailing",
            says="The history function has failed for five minutes; new candles are missing.",
            metric=metrics.history_errors(),
            threshold=0,
            minutes=5,
        ),
        AlarmRule(
            name="PushThrottled",
            says="The account's Lambda concurrency is used up; clients get late prices.",
            metric=metrics.push_throttles(),
            threshold=0,
            minutes=3,
        ),
        AlarmRule(
            name="PushBehind",
            says=f"Push is over {PUSH_LAG_RECORDS} records behind; clients get late prices.",
            metric=metrics.push_lag(),
            threshold=PUSH_LAG_RECORDS,
            minutes=5,
        ),
        AlarmRule(
            name="AuthorizerFailing",
            says="The authorizer has failed for three minutes; no client can connect.",
            metric=metrics.authorizer_failures(scope),
            threshold=0,
            minutes=3,
        ),
    ]


def _kafka_rules(metrics: Metrics, brokers: int) -> list[AlarmRule]:
    lags = [
        AlarmRule(
            name=f"{group.capitalize()}Behind",
            says=f"The stage {group} is over {limit} s behind what capture wrote.",
            metric=metrics.time_lag(group),
            threshold=limit,
            minutes=5,
        )
        for group, limit in (("archive", ARCHIVE_LAG_S), ("derive", DERIVE_LAG_S))
    ]
    disks = [
        AlarmRule(
            name=f"Broker{broker}DiskFilling",
            says=f"Broker {broker} has used {DISK_PERCENT} % of its disk; a full one stops.",
            metric=metrics.broker_disk(broker),
            threshold=DISK_PERCENT,
            minutes=15,
        )
        for broker in range(1, brokers + 1)
    ]
    return [*lags, *disks]
