"""The one Lambda builder: runtime, architecture, role, log group, environment.

staged folder (infra.build_functions) ─► function outside the VPC, with a role of its own
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

RUNTIME = lambda_.Runtime.PYTHON_3_14
ARCHITECTURE = lambda_.Architecture.ARM_64
ONE_CPU_MIB = 1769
"""The memory size at which Lambda gives one whole CPU."""


class PythonFunction(Construct):
    """One handler of `functions/`, with exactly the statements that it is given.

    The function stays outside the VPC (rule 31): it has the internet and no cold network.

    Attributes:
        function: The Lambda function.
        role: Its own role; starts with leave to write its own log group and nothing else.
        log_group: Kept for a month, gone with the stack.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        code: Path,
        handler: str,
        environment: Mapping[str, str],
        statements: Sequence[iam.PolicyStatement] = (),
        memory_mib: int = 512,
        timeout: Duration | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        self.log_group = logs.LogGroup(
            self,
            "Log",
            retention=logs.RetentionDays.ONE_MONTH,
            removal_policy=RemovalPolicy.DESTROY,
        )
        self.role = self._role(handler, statements)
        self.function = lambda_.Function(
            self,
            "Function",
            code=lambda_.Code.from_asset(str(code)),
            handler=handler,
            runtime=RUNTIME,
            architecture=ARCHITECTURE,
            role=self.role,
            environment=dict(environment),
            log_group=self.log_group,
            memory_size=memory_mib,
            timeout=timeout or Duration.seconds(10),
        )
        # The role's policy must be there before anything can invoke the function.
        self.function.node.add_dependency(self.role)

    def _role(self, handler: str, statements: Sequence[iam.PolicyStatement]) -> iam.Role:
        role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
            description=f"Runs {handler}",
        )
        self.log_group.grant_write(role)
        for statement in statements:
            role.add_to_policy(statement)
        return role
