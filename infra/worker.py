"""The worker on Fargate: one service with every stage, or a service a stage.

Dockerfile ─► image ─► service(s) ─► exchanges, Kafka, bucket
"""

from collections.abc import Mapping
from dataclasses import dataclass

from aws_cdk import Aws, Duration, RemovalPolicy
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.acknowledgement import acknowledge
from infra.network import Network
from infra.settings import Size
from infra.worker_access import StageAccess

STOP_TIMEOUT = Duration.seconds(40)
"""Twice the 20 s in which a stage has drained after SIGTERM."""


@dataclass(frozen=True, slots=True)
class WorkerVariables:
    """What the container's settings read; `secrets` reach it without passing a template.

    Attributes:
        shared: For every stage.
        of_stage: For one stage only; `all` gets those of all stages.
        secrets: For every stage.
        capture_secrets: For the stages that capture.
    """

    shared: Mapping[str, str]
    of_stage: Mapping[str, Mapping[str, str]]
    secrets: Mapping[str, ecs.Secret]
    capture_secrets: Mapping[str, ecs.Secret]

    def for_stage(self, stage: str) -> dict[str, str]:
        """The variables of one service."""
        parts = self.of_stage.values() if stage == "all" else [self.of_stage.get(stage, {})]
        merged = dict(self.shared)
        for part in parts:
            merged.update(part)
        return {name: value for name, value in sorted(merged.items()) if value}

    def secrets_for(self, stage: str) -> dict[str, ecs.Secret]:
        """The secrets of one service."""
        captures = stage in {"all", "capture"}
        return {**self.secrets, **(self.capture_secrets if captures else {})}


class Worker(Construct):
    """The services of the worker.

    A deployment starts the new task before it stops the old one (min healthy 100, max 200):
    rules 7, 11 and 12 make two at once harmless, while a pause would be a gap.

    Attributes:
        cluster: The ECS cluster.
        services: By stage name.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        network: Network,
        size: Size,
        image: ecs.ContainerImage,
        variables: WorkerVariables,
        access: StageAccess,
    ) -> None:
        super().__init__(scope, construct_id)
        self._network = network
        self._size = size
        self._image = image
        self._variables = variables
        self._access = access
        self.cluster = self._cluster()
        self.services = {stage: self._service(stage) for stage in size.worker_stages}

    def _cluster(self) -> ecs.Cluster:
        insights = self._size.name != "small"
        cluster = ecs.Cluster(
            self,
            "Cluster",
            vpc=self._network.vpc,
            container_insights_v2=(
                ecs.ContainerInsights.ENABLED if insights else ecs.ContainerInsights.DISABLED
            ),
        )
        if not insights:
            acknowledge(
                cluster,
                "ECS4",
                "Container Insights would cost more than the one container; the alarm on "
                "missing tasks uses the service's own CPU samples, which are free.",
            )
        return cluster

    def _service(self, stage: str) -> ecs.FargateService:
        return ecs.FargateService(
            self,
            _name(stage, "Service"),
            cluster=self.cluster,
            task_definition=self._task(stage),
            desired_count=1,
            min_healthy_percent=100,
            max_healthy_percent=200,
            circuit_breaker=ecs.DeploymentCircuitBreaker(rollback=True),
            enable_execute_command=False,
            assign_public_ip=True,
            security_groups=[self._network.worker_group],
            vpc_subnets=self._network.worker_subnets,
        )

    def _task(self, stage: str) -> ecs.FargateTaskDefinition:
        role = self._role(stage)
        task = ecs.FargateTaskDefinition(
            self,
            _name(stage, "Task"),
            cpu=self._size.worker_cpu,
            memory_limit_mib=self._size.worker_memory_mib,
            task_role=role,
            runtime_platform=ecs.RuntimePlatform(
                cpu_architecture=ecs.CpuArchitecture.ARM64,
                operating_system_family=ecs.OperatingSystemFamily.LINUX,
            ),
        )
        self._container(task, stage)
        _acknowledge_task(task)
        return task

    def _container(self, task: ecs.FargateTaskDefinition, stage: str) -> None:
        log_group = logs.LogGroup(
            self,
            _name(stage, "Log"),
            retention=logs.RetentionDays.ONE_MONTH,
            removal_policy=RemovalPolicy.DESTROY,
        )
        task.add_container(
            "worker",
            image=self._image,
            command=[stage],
            environment=self._variables.for_stage(stage),
            secrets=self._variables.secrets_for(stage),
            logging=ecs.LogDrivers.aws_logs(stream_prefix=stage, log_group=log_group),
            readonly_root_filesystem=True,
            stop_timeout=STOP_TIMEOUT,
            linux_parameters=ecs.LinuxParameters(
                self, _name(stage, "Linux"), init_process_enabled=True
            ),
        )

    def _role(self, stage: str) -> iam.Role:
        role = iam.Role(
            self,
            _name(stage, "Role"),
            assumed_by=iam.ServicePrincipal(
                "ecs-tasks.amazonaws.com",
                conditions={"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}},
            ),
            description=f"What the stage {stage} may do",
        )
        for statement in self._access.of_stage(stage):
            role.add_to_policy(statement)
        self._access.acknowledge(role, stage)
        return role


def _name(stage: str, kind: str) -> str:
    return f"{stage.capitalize()}{kind}"


def _acknowledge_task(task: ecs.FargateTaskDefinition) -> None:
    acknowledge(
        task,
        "ECS2",
        "Names of a bucket, a table, a cluster and of what to record: none is a secret; "
        "a password comes from Secrets Manager.",
    )
    acknowledge(
        task,
        "IAM5[Resource::*]",
        "ecr:GetAuthorizationToken of the execution role takes no narrower resource.",
    )
