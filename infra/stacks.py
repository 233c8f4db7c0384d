"""The stacks, split by how often they change, and what each hands to the next (rule 29).

network and Kafka ─► storage ─► realtime API ─► worker ─► observability
"""

from aws_cdk import App, Aws, CfnOutput, Stack
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_secretsmanager as secretsmanager

from infra.broker import Broker
from infra.connections_access import STAGES, ConnectionsAccess
from infra.kafka_access import KafkaAccess
from infra.kafka_sources import KafkaSources
from infra.metrics import Metrics
from infra.network import IAM_PORT, SCRAM_PORT, Network
from infra.observability import Observability
from infra.realtime_api import RealtimeApi
from infra.settings import DeploymentSettings
from infra.storage import Storage
from infra.worker import Worker, WorkerVariables
from infra.worker_access import StageAccess
from infra.worker_image import worker_image


def add_stacks(app: App, settings: DeploymentSettings) -> None:
    """All five stacks; they need no account and no region until they are deployed."""
    network, broker = _network(app, settings)
    storage = _storage(app, settings)
    api, sources = _realtime(app, settings, broker, storage)
    worker = _worker(app, settings, network=network, broker=broker, storage=storage, api=api)
    _observability(app, settings, worker, api, sources)


def _network(app: App, settings: DeploymentSettings) -> tuple[Network, Broker]:
    stack = Stack(
        app,
        "TapedeckNetwork",
        description="Tapedeck: network and Kafka",
        termination_protection=settings.retain,
    )
    network = Network(
        stack,
        "Network",
        zones=settings.availability_zones,
        zone_count=settings.size.brokers,
        exchange_ports=settings.exchanges.ports,
        broker_port=SCRAM_PORT if settings.scram else IAM_PORT,
        event_source_endpoints=not settings.size.provisioned_push,
    )
    broker = Broker(
        stack,
        "Kafka",
        network=network,
        size=settings.size,
        storage_gb=settings.storage_gb,
        scram=settings.scram,
    )
    return network, broker


def _storage(app: App, settings: DeploymentSettings) -> Storage:
    stack = Stack(
        app,
        "TapedeckStorage",
        description="Tapedeck: archive bucket and tables",
        termination_protection=settings.retain,
    )
    storage = Storage(
        stack,
        "Storage",
        retain=settings.retain,
        stockbit="stockbit" in settings.exchanges.captured,
    )
    if storage.stockbit_token is not None:
        CfnOutput(stack, "StockbitToken", value=storage.stockbit_token.secret_name)
    CfnOutput(stack, "ArchiveBucket", value=storage.bucket.bucket_name)
    CfnOutput(stack, "KeysTable", value=storage.keys.table_name)
    return storage


def _worker(
    app: App,
    settings: DeploymentSettings,
    *,
    network: Network,
    broker: Broker,
    storage: Storage,
    api: RealtimeApi,
) -> Worker:
    stack = Stack(app, "TapedeckWorker", description="Tapedeck: capture, archive, derive, keep")
    return Worker(
        stack,
        "Worker",
        network=network,
        size=settings.size,
        image=worker_image(stack, settings.image),
        variables=worker_variables(stack, settings, broker, storage, api),
        access=StageAccess(
            kafka=KafkaAccess(stack, broker.cluster_arn),
            storage=storage,
            connections=ConnectionsAccess(api.web_socket),
            scram=settings.scram,
        ),
    )


def worker_variables(
    stack: Stack,
    settings: DeploymentSettings,
    broker: Broker,
    storage: Storage,
    api: RealtimeApi,
) -> WorkerVariables:
    """The environment that `container_worker/settings.py` reads."""
    secret = broker.scram_secret_in(stack)
    return WorkerVariables(
        shared={
            # The region twice: botocore's own variable, and the one that boto3's users expect.
            "AWS_DEFAULT_REGION": Aws.REGION,
            "AWS_REGION": Aws.REGION,
            "KAFKA_AUTH": settings.kafka_auth,
            "KAFKA_CLUSTER_ARN": broker.cluster_arn,
        },
        of_stage={
            "capture": {
                **settings.exchanges.variables,
                "STOCKBIT_TOKEN_SECRET": storage.stockbit_token_arn,
                "INSTRUMENTS_TABLE": storage.instruments.table_name,
                "STREAMS": settings.streams,
            },
            "archive": {"ARCHIVE_BUCKET": storage.bucket.bucket_name},
            "keep": _keep_variables(storage, api),
        },
        secrets={
            "KAFKA_USER_PRODUCER": ecs.Secret.from_secrets_manager(secret, "username"),
            "KAFKA_PASSWORD_PRODUCER": ecs.Secret.from_secrets_manager(secret, "password"),
        }
        if secret
        else {},
        capture_secrets=_capture_secrets(stack, settings.exchanges.stellar_auth_secret),
    )


def _keep_variables(storage: Storage, api: RealtimeApi) -> dict[str, str]:
    urls = {f"CALLBACK_URL_{stage.upper()}": url for stage, url in api.callback_urls.items()}
    return {
        "CONNECTIONS_TABLE": storage.connections.table_name,
        "KEYS_TABLE": storage.keys.table_name,
        "RING_TABLE": storage.ring.table_name,
        **urls,
    }


def _capture_secrets(stack: Stack, stellar_auth_secret: str) -> dict[str, ecs.Secret]:
    if not stellar_auth_secret:
        return {}
    secret = secretsmanager.Secret.from_secret_complete_arn(
        stack, "StellarAuth", stellar_auth_secret
    )
    return {"STELLAR_AUTH_HEADER": ecs.Secret.from_secrets_manager(secret)}


def _realtime(
    app: App, settings: DeploymentSettings, broker: Broker, storage: Storage
) -> tuple[RealtimeApi, KafkaSources]:
    stack = Stack(app, "TapedeckRealtime", description="Tapedeck: client APIs and push")
    api = RealtimeApi(
        stack,
        "Api",
        storage=storage,
        code=settings.functions,
        clients=settings.clients,
        access_logs=settings.access_logs,
        page_origin=settings.page_origin,
    )
    sources = KafkaSources(
        stack,
        "Kafka",
        api=api,
        cluster_arn=broker.cluster_arn,
        provisioned=settings.size.provisioned_push,
        rate_all=settings.clients.variables["ALLOW_RATE_ALL"] == "true",
    )
    for stage in STAGES:
        url = f"{api.web_socket.api_endpoint}/{stage}"
        CfnOutput(stack, f"{stage.capitalize()}Url", value=url)
    CfnOutput(stack, "HttpUrl", value=api.http.api.api_endpoint)
    return api, sources


def _observability(
    app: App,
    settings: DeploymentSettings,
    worker: Worker,
    api: RealtimeApi,
    sources: KafkaSources,
) -> None:
    stack = Stack(app, "TapedeckObservability", description="Tapedeck: alarms, dashboard")
    Observability(
        stack,
        "Observability",
        metrics=Metrics(
            services=worker.services,
            push=sources.push,
            history=sources.history,
            authorizer_log=api.functions["authorize"].log_group,
            web_socket=api.web_socket,
        ),
        brokers=settings.size.brokers,
        email=settings.alarm_email,
    )
