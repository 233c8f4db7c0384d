"""The network: public subnets for the workers, isolated ones for the brokers, no way in.

internet ◄─ worker (public subnet, no ingress) ─► broker (isolated subnet) ◄─ event source
"""

from collections.abc import Sequence

from aws_cdk import Fn, RemovalPolicy
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_logs as logs
from constructs import Construct

IAM_PORT = 9098
SCRAM_PORT = 9096


class Network(Construct):
    """One VPC with its security groups and endpoints (rules 30, 31).

    There is no NAT: the workers have public addresses and no ingress, the brokers need no way
    out, and the functions stay outside.

    Attributes:
        worker_group: Security group of the worker: nothing comes in; out only to the brokers
            and to the exchanges' ports.
        broker_group: Security group of the brokers, which the event source's network
            interfaces use as well.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        zones: Sequence[str],
        zone_count: int,
        exchange_ports: Sequence[int],
        broker_port: int,
        event_source_endpoints: bool,
    ) -> None:
        super().__init__(scope, construct_id)
        self.vpc = self._vpc(zones or _first_zones(zone_count))
        self.broker_group = self._group(
            "BrokerGroup", "Kafka brokers and event source", out=True
        )
        self.worker_group = self._group("WorkerGroup", "Workers: no way in", out=False)
        self._connect(exchange_ports, broker_port)
        self._log_refused_traffic()
        self._gateway_endpoints()
        if event_source_endpoints:
            self._interface_endpoints()

    @property
    def worker_subnets(self) -> ec2.SubnetSelection:
        """Where workers run."""
        return ec2.SubnetSelection(subnet_type=ec2.SubnetType.PUBLIC)

    @property
    def broker_subnets(self) -> list[ec2.ISubnet]:
        """One subnet a zone, with no route out of the VPC."""
        return self.vpc.isolated_subnets

    def _vpc(self, zones: Sequence[str]) -> ec2.Vpc:
        return ec2.Vpc(
            self,
            "Vpc",
            availability_zones=list(zones),
            ip_addresses=ec2.IpAddresses.cidr("10.42.0.0/16"),
            nat_gateways=0,
            restrict_default_security_group=False,
            subnet_configuration=[
                ec2.SubnetConfiguration(
                    name="worker",
                    subnet_type=ec2.SubnetType.PUBLIC,
                    cidr_mask=24,
                    map_public_ip_on_launch=False,
                ),
                ec2.SubnetConfiguration(
                    name="broker",
                    subnet_type=ec2.SubnetType.PRIVATE_ISOLATED,
                    cidr_mask=24,
                ),
            ],
        )

    def _group(self, construct_id: str, description: str, *, out: bool) -> ec2.SecurityGroup:
        return ec2.SecurityGroup(
            self,
            construct_id,
            vpc=self.vpc,
            description=description,
            allow_all_outbound=out,
        )

    def _connect(self, exchange_ports: Sequence[int], broker_port: int) -> None:
        for port in sorted({IAM_PORT, broker_port}):
            kafka = ec2.Port.tcp(port)
            self.worker_group.add_egress_rule(self.broker_group, kafka, "workers to Kafka")
            self.broker_group.add_ingress_rule(self.worker_group, kafka, "Kafka from workers")
        self.broker_group.add_ingress_rule(
            self.broker_group, ec2.Port.tcp(IAM_PORT), "Kafka from the event source"
        )
        for port in exchange_ports:
            self.worker_group.add_egress_rule(
                ec2.Peer.any_ipv4(), ec2.Port.tcp(port), "exchanges and AWS"
            )

    def _log_refused_traffic(self) -> None:
        group = logs.LogGroup(
            self,
            "RefusedTraffic",
            retention=logs.RetentionDays.ONE_MONTH,
            removal_policy=RemovalPolicy.DESTROY,
        )
        self.vpc.add_flow_log(
            "FlowLog",
            destination=ec2.FlowLogDestination.to_cloud_watch_logs(group),
            traffic_type=ec2.FlowLogTrafficType.REJECT,
        )

    def _gateway_endpoints(self) -> None:
        for construct_id, service in (
            ("S3", ec2.GatewayVpcEndpointAwsService.S3),
            ("DynamoDb", ec2.GatewayVpcEndpointAwsService.DYNAMODB),
        ):
            self.vpc.add_gateway_endpoint(construct_id, service=service)

    def _interface_endpoints(self) -> None:
        """An on-demand event source calls from the brokers' subnets, which have no way out."""
        group = self._group("EndpointGroup", "Lambda and STS for the event source", out=False)
        group.add_ingress_rule(self.broker_group, ec2.Port.tcp(443), "from the event source")
        for construct_id, service in (
            ("Lambda", ec2.InterfaceVpcEndpointAwsService.LAMBDA_),
            ("Sts", ec2.InterfaceVpcEndpointAwsService.STS),
        ):
            self.vpc.add_interface_endpoint(
                construct_id,
                service=service,
                subnets=ec2.SubnetSelection(subnets=self.broker_subnets),
                security_groups=[group],
                open=False,
            )


def _first_zones(count: int) -> list[str]:
    """The region's first zones, chosen by CloudFormation: nothing is looked up at synthesis."""
    return [Fn.select(index, Fn.get_azs()) for index in range(count)]
